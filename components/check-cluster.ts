import * as pulumi from '@pulumi/pulumi';
import { type ClusterFacts, clusterOf, factsOf } from './cluster-facts.ts';
import { meshNamespaces, type StackConfig } from './config.ts';
import { obstacles } from './preflight.ts';

const PATIENCE_MS = 15_000;

/**
 * Looks at the cluster before anything is made in it. A preview only warns, so that it works without a cluster.
 *
 * @returns what the cluster says; undefined when it can't be reached, in a preview
 * @throws RunError with everything that is in the way, and what to do about it
 */
export async function checkCluster(config: StackConfig, settings: Readonly<Record<string, string>>): Promise<ClusterFacts | undefined> {
  const { facts, found } = await look(config, settings);
  if (found.length === 0) return facts;
  const text = `The stack can't be installed in this cluster:\n${found.map((one) => `  - ${one}`).join('\n')}`;
  if (!pulumi.runtime.isDryRun()) throw new pulumi.RunError(text);
  await pulumi.log.warn(text);
  return facts;
}

interface Seen {
  readonly facts: ClusterFacts | undefined;
  readonly found: readonly string[];
}

async function look(config: StackConfig, settings: Readonly<Record<string, string>>): Promise<Seen> {
  try {
    const names = [...new Set([config.systemNamespace, ...meshNamespaces(config)])];
    const facts = await Promise.race([factsOf(clusterOf(settings), names), late()]);
    return { facts, found: obstacles(config, facts, `${pulumi.getProject()}/${pulumi.getStack()}`) };
  } catch (error) {
    const found = `The cluster can not be reached: ${reasonOf(error)}. Which one it is, your kubeconfig says (KUBECONFIG, or pulumi config set kubernetes:context NAME).`;
    return { facts: undefined, found: [found] };
  }
}

/** The first line of what went wrong, with its causes: `fetch` itself only says that it failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [first = error.name] = error.message.split('\n');
  // Where a name has several addresses, each has its error.
  const causes = error.cause instanceof AggregateError ? error.cause.errors : error.cause === undefined ? [] : [error.cause];
  return causes.length === 0 ? first : `${first} (${causes.map(reasonOf).join('; ')})`;
}

function late(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS).unref();
  });
}
