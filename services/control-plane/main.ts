import { type ServerType, serve } from '@hono/node-server';
import { type Config, readConfig } from './config.ts';
import { type ControlPlane, makeControlPlane } from './control-plane.ts';
import { ConfigError } from './environment.ts';
import { makeLog } from './log.ts';
import { systemRuntime } from './runtime.ts';
import { HttpPrometheus } from './stop-conditions/prometheus.ts';

/** The process: configuration in, sockets open, signals obeyed. */

/** What a wrong configuration ends the process with. */
const EXIT_USAGE = 2;

function configured(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`hfi control plane: ${error.message}\n`);
    process.exit(EXIT_USAGE);
  }
}

const config = configured();
const log = makeLog(config.logLevel, config.replica);
const prometheus = config.prometheus && new HttpPrometheus(config.prometheus);
const controlPlane = makeControlPlane({ config, runtime: systemRuntime, log, fetch, prometheus });
controlPlane.start();

const server = serve({ fetch: controlPlane.fetch, hostname: config.host, port: config.port }, ({ address, port, family }) => {
  const host = family === 'IPv6' ? `[${address}]` : address;
  log.info({ url: `http://${host}:${port}` }, 'listening');
});
server.on('error', (error: NodeJS.ErrnoException) => {
  log.fatal({ code: error.code, listen: `${config.host}:${config.port}` }, 'can not listen');
  process.exit(1);
});

endOnSignals(server, controlPlane);

/** The first signal drains: waiting polls are answered, answers under way are finished. The second one ends at once. */
function endOnSignals(http: ServerType, served: ControlPlane): void {
  let asked = false;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (asked) process.exit(1);
    asked = true;
    log.info({ signal }, 'ending');
    const closed = new Promise<void>((resolve) => http.close(() => resolve()));
    const inTime = new Promise<void>((resolve) => setTimeout(resolve, config.drainMs));
    // Leaving the list of replicas needs etcd, which may be what is gone.
    await Promise.race([served.drain(), inTime]);
    if ('closeIdleConnections' in http) http.closeIdleConnections();
    await Promise.race([closed, inTime]);
    await Promise.race([served.stop(), inTime]);
    log.info('ended');
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void end(signal));
  process.on('SIGINT', (signal) => void end(signal));
}
