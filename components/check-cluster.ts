import * as pulumi from '@pulumi/pulumi';
import { type ClusterFacts, clusterOf, factsOf } from './cluster-facts.ts';
import { meshNamespaces, type StackConfig } from './config.ts';
import { obstacles } from './preflight.ts';

const PATIENCE_MS = 15_000;

/**
 * Looks at the cluster before anything is made in it. A preview only warns, so that it works without a cluster.
 *
 * @throws RunError with everything that is in the way, and what to do about it
 */
export async function checkCluster(config: StackConfig, settings: Readonly<Record<string, string>>): Promise<void> {
  const found = await look(config, settings);
  if (found.length === 0) return;
  const text = `The stack can't be installed in this cluster:\n${found.map((one) => `  - ${one}`).join('\n')}`;
  if (!pulumi.runtime.isDryRun()) throw new pulumi.RunError(text);
  await pulumi.log.warn(text);
}

async function look(config: StackConfig, settings: Readonly<Record<string, string>>): Promise<string[]> {
  let facts: ClusterFacts;
  try {
    const names = [...new Set([config.systemNamespace, ...meshNamespaces(config)])];
    facts = await Promise.race([factsOf(clusterOf(settings), names), late()]);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return [
      `The cluster can not be reached: ${reason}. Which one it is, your kubeconfig says (KUBECONFIG, or pulumi config set kubernetes:context NAME).`,
    ];
  }
  return obstacles(config, facts, `${pulumi.getProject()}/${pulumi.getStack()}`);
}

function late(): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS).unref();
  });
}
