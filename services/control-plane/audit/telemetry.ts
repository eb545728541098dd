import { type AnyValueMap, SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import type { Seal } from '../../audit/seal.ts';
import { pause, type Runtime } from '../runtime.ts';
import type { AuditLog } from '../store/audit-log.ts';
import { shown } from '../store/audit-writer.ts';
import type { AuditAction, AuditEntry } from '../store/store.ts';

export interface TelemetryOptions {
  readonly log: Pick<AuditLog, 'read'>;
  readonly runtime: Runtime;
  readonly replica: string;
  readonly version: string;
  /** Told of what can't be sent; the audit has it. */
  readonly failed: (error: unknown, entries: number) => void;
}

const ATTEMPTS = 5;
const AGAIN_MS = 1000;

/** What somebody should look at. */
const WARNINGS: ReadonlySet<AuditAction> = new Set(['halt']);

/**
 * Sends what was audited as OpenTelemetry log records, each entry once: whoever seals it sends it. Where to, and with what headers, the
 * SDK reads from `OTEL_EXPORTER_OTLP_ENDPOINT` and its neighbours (OpenTelemetry specification, "OTLP Exporter Configuration").
 */
export class Telemetry {
  readonly #options: TelemetryOptions;
  readonly #provider: LoggerProvider;

  constructor(options: TelemetryOptions) {
    this.#options = options;
    const resource = resourceFromAttributes({
      'service.name': 'hfi-control-plane',
      'service.version': options.version,
      'service.instance.id': options.replica,
    });
    this.#provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
  }

  /** A seal of this replica: its entries are sent. Those from before the chain are history, not news. */
  async sealed({ sequence, adopted, entries }: Seal): Promise<void> {
    if (adopted) return;
    const ids = entries.map(({ id }) => id);
    for (let tries = 1; ; tries++) {
      try {
        for (const entry of await this.#options.log.read(ids)) this.#send(entry, sequence);
        return;
      } catch (error) {
        if (tries === ATTEMPTS) return this.#options.failed(error, ids.length);
        await pause(this.#options.runtime, AGAIN_MS);
      }
    }
  }

  /** Sends what waits, and ends. */
  stop(): Promise<void> {
    return this.#provider.shutdown();
  }

  #send(entry: AuditEntry, seal: number): void {
    const { action, actor, address, policy, halt, token, end, result } = entry;
    const given = {
      'hfi.policy': policy || undefined,
      'hfi.halt.namespace': halt === undefined ? undefined : (halt.namespace ?? '*'),
      'hfi.halt.reason': halt?.reason,
      'hfi.token': token,
      'hfi.end.reason': end?.reason,
      'hfi.end.why': end?.why,
      'hfi.result.verdict': result?.verdict,
      'hfi.result.injected': result?.injected,
    };
    this.#provider.getLogger('hfi.audit').emit({
      eventName: `hfi.${action}`,
      timestamp: entry.time,
      severityNumber: WARNINGS.has(action) || end?.reason === 'stopped' ? SeverityNumber.WARN : SeverityNumber.INFO,
      severityText: WARNINGS.has(action) || end?.reason === 'stopped' ? 'WARN' : 'INFO',
      body: JSON.stringify(shown(entry)),
      attributes: {
        'hfi.audit.id': entry.id,
        'hfi.audit.seal': seal,
        'hfi.audit.revision': entry.revision,
        'hfi.actor.name': actor.name,
        'hfi.actor.role': actor.role,
        'client.address': address,
        ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as AnyValueMap),
      },
    });
  }
}

/** Whether the environment says where to send records. */
export function telemetryWanted(env: Readonly<Record<string, string | undefined>>): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_LOGS_EXPORTER === 'none') return false;
  return (env.OTEL_EXPORTER_OTLP_LOGS_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '') !== '';
}
