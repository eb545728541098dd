import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { dirname } from 'node:path';
import { collectDefaultMetrics, Gauge } from 'prom-client';
import { SECRET_BYTES } from './access/secret.ts';
import { Telemetry, telemetryWanted } from './audit/telemetry.ts';
import { type Config, readConfig } from './config.ts';
import { type ControlPlane, makeControlPlane, VERSION } from './control-plane.ts';
import { ConfigError } from './environment.ts';
import { listen } from './listen.ts';
import { makeLog } from './log.ts';
import { type Runtime, systemRuntime } from './runtime.ts';
import { SteadyClock } from './steady-clock.ts';
import { HttpPrometheus } from './stop-conditions/prometheus.ts';
import type { AuditLog } from './store/audit-log.ts';
import { makeClient } from './store/client.ts';

/** The process: configuration in, sockets open, signals obeyed. */

/** What a wrong configuration ends the process with. */
const EXIT_USAGE = 2;

function configured(): Config {
  try {
    return readConfig(process.env, dirname(process.argv[1] ?? ''));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`hfi control plane: ${error.message}\n`);
    process.exit(EXIT_USAGE);
  }
}

const config = configured();
const log = makeLog(config.logLevel, config.replica);
const clock = new SteadyClock(systemRuntime.clock, (ms) =>
  log.error({ seconds: Math.round(ms / 1000) }, 'the wall clock was set back; time goes on as before here, so that no policy ends late'),
);
const runtime: Runtime = { ...systemRuntime, clock };
const telemetry = (audit: AuditLog): Telemetry =>
  new Telemetry({
    log: audit,
    runtime,
    replica: config.replica,
    version: VERSION,
    failed: (error, entries) => log.warn({ err: error, entries }, 'audit entries are not sent as telemetry; the audit has them'),
  });
const controlPlane = makeControlPlane({
  config,
  runtime,
  log,
  fetch,
  connect: () => makeClient(config.etcd),
  ofProcess: (register) => {
    collectDefaultMetrics({ register });
    new Gauge({
      name: 'hfi_clock_behind_seconds',
      help: 'How far the wall clock is behind of the time that this replica goes by; above 0 after it was set back, until a restart.',
      registers: [register],
      collect() {
        this.set(clock.behind / 1000);
      },
    });
  },
  prometheus: config.prometheus && new HttpPrometheus(config.prometheus),
  randomBytes: () => randomBytes(SECRET_BYTES),
  telemetry: telemetryWanted(process.env) ? telemetry : undefined,
});
controlPlane.start();

const servers = config.listeners.map((listener) =>
  listen(listener, {
    fetch: controlPlane.fetch,
    first: controlPlane.polls,
    runtime,
    log,
    failed: ({ host, port }, code) => {
      log.fatal({ code, listen: `${host}:${port}` }, 'can not listen');
      process.exit(1);
    },
  }),
);

endOnSignals(servers, controlPlane);

/** The first signal drains: waiting polls are answered, answers under way are finished. The second one ends at once. */
function endOnSignals(all: readonly Server[], served: ControlPlane): void {
  let asked = false;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (asked) process.exit(1);
    asked = true;
    log.info({ signal }, 'ending');
    const closed = Promise.all(all.map((http) => new Promise<void>((resolve) => http.close(() => resolve()))));
    const inTime = new Promise<void>((resolve) => setTimeout(resolve, config.drainMs));
    // Leaving the list of replicas needs etcd, which may be what is gone.
    await Promise.race([served.drain(), inTime]);
    for (const http of all) if ('closeIdleConnections' in http) http.closeIdleConnections();
    await Promise.race([closed, inTime]);
    await Promise.race([served.stop(), inTime]);
    log.info('ended');
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void end(signal));
  process.on('SIGINT', (signal) => void end(signal));
}
