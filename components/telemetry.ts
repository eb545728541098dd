import type { StackConfig } from './config.ts';
import type { PodAddition } from './pod-addition.ts';

type TelemetryConfig = NonNullable<StackConfig['controlPlane']['telemetry']>;

/** Tells the control plane where what was audited is sent too: by OpenTelemetry's own variables, which its SDK reads. */
export function telemetryAccess({ url, headersSecret }: TelemetryConfig): PodAddition {
  const endpoint = { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: url };
  if (headersSecret === undefined) return { env: [endpoint] };
  const valueFrom = { secretKeyRef: { name: headersSecret, key: 'headers' } };
  return { env: [endpoint, { name: 'OTEL_EXPORTER_OTLP_HEADERS', valueFrom }] };
}
