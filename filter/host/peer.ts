/** The caller as its own sidecar tells of it. */
export interface Peer {
  readonly workload?: string | undefined;
  readonly service?: string | undefined;
  readonly version?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

const STATE = 'filter_state\0downstream_peer';

/**
 * The properties under which Istio's Envoy has a peer (istio/proxy `source/extensions/filters/http/peer_metadata`, from 1.24 on; labels of no
 * name of their own from 1.25 on).
 */
export function peerProperties({ workload, service, version, labels = {} }: Peer): Map<string, string> {
  const {
    app,
    version: label,
    'service.istio.io/canonical-name': name,
    'service.istio.io/canonical-revision': revision,
    ...others
  } = labels;
  const parts = { workload, service: service ?? name, revision: version ?? revision, app, version: label };
  const told = [...Object.entries(parts), ...Object.entries(others).map(([key, value]): [string, string] => [`labels\0${key}`, value])];
  return new Map(told.flatMap(([path, value]) => (value === undefined ? [] : [[`${STATE}\0${path}`, value] as const])));
}
