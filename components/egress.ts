import type { types } from '@pulumi/kubernetes';

/** Where the pods of a Prometheus, and of an OpenTelemetry collector, listen unless told otherwise. */
export const PROMETHEUS_PORT = 9090;
export const OTLP_PORT = 4318;

/** Something that the control plane calls by a URL. */
export interface Destination {
  readonly url: string;
  /** The namespace of its pods; missing: it is outside of the cluster. */
  readonly namespace?: string | undefined;
  /** The port of its pods. */
  readonly port?: number | undefined;
}

/** What a network policy must let out for it. @param usual where its pods listen unless told otherwise */
export function egressTo({ url, namespace, port }: Destination, usual: number): types.input.networking.v1.NetworkPolicyEgressRule {
  const { protocol, port: inUrl } = new URL(url);
  if (namespace !== undefined) {
    const to = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }];
    return { to, ports: [{ port: port ?? usual, protocol: 'TCP' }] };
  }
  const own = inUrl === '' ? (protocol === 'https:' ? 443 : 80) : Number(inUrl);
  return { ports: [{ port: port ?? own, protocol: 'TCP' }] };
}
