import type { Scope } from './caller.ts';
import { inWords, seesNamespace } from './scope.ts';

/** What a poll or a report says of who it is from. */
export interface Claim {
  /** The Envoy node's id. */
  readonly name: string;
  /** Empty when the proxy can't read it: then it gets no fault, and can learn of none. */
  readonly namespace: string;
}

/** As Istio makes it: `sidecar~10.0.0.7~frontend-v1-abc.demo~demo.svc.cluster.local`. A pod's name may have dots, a namespace has none. */
const ISTIO_NODE = /^[a-z]+~[^~]*~[^~]*\.([a-z0-9-]+)~[^~]*$/;

/**
 * Why a token may not speak for a proxy; undefined when it may. One with a scope speaks for proxies of its namespaces alone. As a node's id is the
 * name by which a proxy is known, it may not be one that says another namespace, either.
 */
export function notOwn(scope: Scope, { name, namespace }: Claim): string | undefined {
  if (scope.namespaces === undefined) return undefined;
  if (namespace !== '' && !seesNamespace(scope, namespace)) return `a proxy of namespace ${JSON.stringify(namespace)}`;
  const said = ISTIO_NODE.exec(name)?.[1];
  if (said !== undefined && !seesNamespace(scope, said)) return `a proxy whose node's id says namespace ${JSON.stringify(said)}`;
  return undefined;
}

/** The refusal in words. */
export function refusalOf(scope: Scope, reason: string): string {
  return `The token is for proxies of ${inWords(scope)}, and can not speak for ${reason}.`;
}
