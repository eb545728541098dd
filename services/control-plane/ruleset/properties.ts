import { KIND_PROPERTY } from '../../../filter/assembly/layout.ts';
import type { FieldKey } from './condition.ts';

/** Where Envoy keeps what only it knows of a request. */

const property = (...path: readonly string[]): FieldKey => ({ kind: KIND_PROPERTY, name: path.join('\0') });

/** Known from the request's head on, for its route is chosen before any plugin sees it. */
export const CLUSTER = property('xds', 'cluster_name');

/**
 * What the caller's sidecar says of its workload. Istio's metadata exchange stands in front of every plugin and leaves it in the
 * stream's filter state since 1.24 (istio/proxy `source/extensions/filters/http/peer_metadata`, since 1.31 envoy `contrib/istio`).
 */
const peer = (...path: readonly string[]): FieldKey => property('filter_state', 'downstream_peer', ...path);

/** The parts by the names that Istio gives them (istio/proxy `extensions/common/metadata_object.h`). */
export type PeerPart = 'workload' | 'service' | 'revision' | 'app' | 'version';

export const peerField = (part: PeerPart): FieldKey => peer(part);

/** Labels that Istio gives a name of their own, in place of leaving them among the labels. */
const NAMED: Readonly<Record<string, PeerPart>> = {
  app: 'app',
  version: 'version',
  'service.istio.io/canonical-name': 'service',
  'service.istio.io/canonical-revision': 'revision',
};

export function peerLabel(name: string): FieldKey {
  const part = Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
  return part === undefined ? peer('labels', name) : peer(part);
}
