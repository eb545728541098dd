import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import { readStackConfig } from './components/config.ts';
import manifest from './package.json' with { type: 'json' };

/*
 * The stack. So far it reads and checks its configuration and says what is built; it creates nothing. The components that run
 * HFI in a cluster are not there yet: until they are, the sandbox (`npm start`) is where HFI runs.
 */

const PLUGIN = new URL('dist/filter/plugin.wasm', import.meta.url);
const config = readStackConfig(pulumi.runtime.allConfig(), pulumi.getProject());

void pulumi.log.warn(
  'This program creates nothing yet: the components that run HFI in a cluster are not there. Use the sandbox: npm start.',
);

/** HFI's version. */
export const version: string = manifest.version;

/** The Kubernetes namespace that HFI's own parts will be in. */
export const systemNamespace: string = config.systemNamespace;

/** The filter's settings that the mesh would be given, without token and address. */
export const filterConfig: { leaseMs: number; maxDelayedRequests: number } = {
  leaseMs: config.leaseMs,
  maxDelayedRequests: config.maxDelayedRequests,
};

/** SHA-256 of the built filter, in hex; missing until `npm run build` has made it. */
export const wasmSha256: string | undefined = existsSync(PLUGIN)
  ? createHash('sha256').update(readFileSync(PLUGIN)).digest('hex')
  : undefined;
