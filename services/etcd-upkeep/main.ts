import { hostname } from 'node:os';
import { ConfigError } from '../control-plane/environment.ts';
import { makeLog } from '../control-plane/log.ts';
import { makeClient } from '../control-plane/store/client.ts';
import { readSettings, type Settings } from './settings.ts';
import { upkeep } from './upkeep.ts';

/** One run of etcd's upkeep, as a process: 0 when all of it was done, 1 when not, 2 for a wrong configuration. */

function configured(): Settings {
  try {
    return readSettings(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`hfi etcd upkeep: ${error.message}\n`);
    process.exit(2);
  }
}

// As the first process of a container it would not hear the signal otherwise.
process.on('SIGTERM', () => process.exit(1));

const { etcd, ...settings } = configured();
const members = etcd.endpoints.map((endpoint) => ({ endpoint, client: makeClient({ ...etcd, endpoints: [endpoint] }) }));
upkeep(members, settings, makeLog('info', hostname())).then((done) => process.exit(done ? 0 : 1));
