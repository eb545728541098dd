import { type ClusterFacts, LEAST_ISTIO, LEAST_KUBERNETES, older, WASM_PLUGINS } from '../../components/cluster-facts.ts';
import { type Check, failed, ok, warning } from './check.ts';

/** Whether the cluster and Istio are new enough. */
export function versionChecks({ version, istio, resources }: Pick<ClusterFacts, 'version' | 'istio' | 'resources'>): Check[] {
  const kubernetes = older(version, LEAST_KUBERNETES)
    ? failed('Kubernetes', `is ${version}`, `HFI needs ${LEAST_KUBERNETES} or newer.`)
    : ok('Kubernetes', version);
  if (resources.get(WASM_PLUGINS) === false) {
    return [kubernetes, failed('Istio', `is not there: the cluster has no ${WASM_PLUGINS}`, `Install Istio ${LEAST_ISTIO} or newer.`)];
  }
  if (istio === undefined) {
    return [kubernetes, warning('Istio', 'is there, but its version can not be seen', `See that istiod is ${LEAST_ISTIO} or newer.`)];
  }
  if (older(istio, LEAST_ISTIO)) return [kubernetes, failed('Istio', `is ${istio}`, `HFI needs ${LEAST_ISTIO} or newer.`)];
  return [kubernetes, ok('Istio', istio)];
}
