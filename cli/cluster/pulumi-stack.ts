import { execFileSync } from 'node:child_process';
import type { Context } from '../contexts.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import type { ClusterPlace } from './cluster.ts';

/** What of the stack's outputs is used (`index.ts`). */
interface Outputs {
  readonly apiToken?: unknown;
  readonly controlPlaneEndpoint?: unknown;
  readonly namespaces?: { readonly system?: unknown };
}

/**
 * The context of a stack, from its outputs. The cluster is the one that `place` or the stack's own settings name.
 *
 * @throws Failure with what Pulumi said
 */
export function contextOfStack(stack: string, place: ClusterPlace): Context {
  const outputs = JSON.parse(pulumi(['stack', 'output', '--json', '--show-secrets', '--stack', stack])) as Outputs;
  const { apiToken: token, controlPlaneEndpoint: url } = outputs;
  const namespace = outputs.namespaces?.system;
  if (typeof token !== 'string' || typeof url !== 'string' || typeof namespace !== 'string') {
    throw new Failure(`The stack ${stack} has no outputs of HFI: run pulumi up first, in the folder of HFI.`, EXIT.notFound);
  }
  const context = place.context ?? setting(stack, 'kubernetes:context');
  return { url, token, cluster: { namespace, ...(context && { context }), ...(place.kubeconfig && { kubeconfig: place.kubeconfig }) } };
}

function setting(stack: string, key: string): string | undefined {
  try {
    return pulumi(['config', 'get', key, '--stack', stack]).trim() || undefined;
  } catch {
    return undefined;
  }
}

function pulumi(args: readonly string[]): string {
  try {
    return execFileSync('pulumi', [...args, '--non-interactive'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') throw new Failure('pulumi is not on the PATH; install it, or use --kube or --url.', EXIT.usage);
    const said = (stderr ?? '')
      .replace(/^error: /m, '')
      .trim()
      .split('\n')[0];
    throw new Failure(`pulumi does not show the stack: ${said || String(error)}`, EXIT.refused);
  }
}
