import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { labels, podSelector } from './labels.ts';
import type { PodAddition } from './pod-addition.ts';

const CONTROL_PLANE = 'hfi-control-plane';
/** Where replicas ask one another and Prometheus reads, past the sidecar: pods are known by their addresses there, which have no certificate. */
export const PEER_PORT = 8081;

/** What only proxies ask. Everything else below /v1/ is for people and programs. */
const PROXIES_PATHS = ['/v1/ruleset', '/v1/reports'];
/** What anybody may read. */
const OPEN_PATHS = ['/healthz', '/readyz', '/docs', '/openapi.json'];

export interface InMeshArgs {
  readonly namespace: pulumi.Input<string>;
  /** Namespaces whose sidecars have the filter. */
  readonly meshNamespaces: readonly string[];
}

/**
 * The rules of the mesh for the control plane: mutual TLS always, and an AuthorizationPolicy for each group of routes. As soon as one allows
 * anything, the mesh refuses what none allows.
 */
export class InMesh extends pulumi.ComponentResource {
  constructor(name: string, args: InMeshArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:InMesh', name, {}, opts);
    const selector = { matchLabels: podSelector(CONTROL_PLANE) };
    const make = (kind: string, one: string, spec: object): void => {
      new k8s.apiextensions.CustomResource(
        one,
        {
          apiVersion: 'security.istio.io/v1',
          kind,
          metadata: { name: one, namespace: args.namespace, labels: labels(CONTROL_PLANE) },
          spec: { selector, ...spec },
        },
        { parent: this },
      );
    };
    make('PeerAuthentication', 'hfi-mutual-tls', { mtls: { mode: 'STRICT' } });
    const allow = (one: string, from: object[] | undefined, operation: object): void =>
      make('AuthorizationPolicy', one, {
        action: 'ALLOW',
        rules: [{ ...(from === undefined ? {} : { from: from.map((source) => ({ source })) }), to: [{ operation }] }],
      });
    allow('hfi-proxies', [{ namespaces: [...args.meshNamespaces] }], { paths: PROXIES_PATHS });
    // Who may do what, their tokens say; here, that they are somebody of the mesh.
    allow('hfi-people', [{ principals: ['*'] }], { paths: ['/v1/*'], notPaths: PROXIES_PATHS });
    allow('hfi-open', undefined, { paths: OPEN_PATHS, methods: ['GET'] });
    this.registerOutputs({});
  }
}

export interface SidecarArgs {
  /** The mesh's revision, where it has revisions. */
  readonly revision: string | undefined;
  /** Seconds that the ending pod still answers. */
  readonly drainSeconds: number;
  readonly etcdEndpoints: pulumi.Input<readonly string[]>;
}

/** What makes a sidecar of the control plane's pods. etcd has certificates of its own, so the way to it goes past the sidecar. */
export function sidecar({ revision, drainSeconds, etcdEndpoints }: SidecarArgs): PodAddition {
  const past = pulumi.output(etcdEndpoints).apply((all) => [...new Set([PEER_PORT, ...all.map(portOf)])].join(','));
  return {
    env: [
      { name: 'HFI_IN_MESH', value: 'on' },
      { name: 'HFI_PEER_LISTEN', value: `0.0.0.0:${PEER_PORT}` },
    ],
    ports: [{ name: 'peers', containerPort: PEER_PORT }],
    labels: { 'sidecar.istio.io/inject': 'true', ...(revision === undefined ? {} : { 'istio.io/rev': revision }) },
    annotations: {
      'traffic.sidecar.istio.io/excludeInboundPorts': String(PEER_PORT),
      // Metrics are read past the sidecar, too, as Prometheus may have none.
      'prometheus.io/port': String(PEER_PORT),
      'prometheus.istio.io/merge-metrics': 'false',
      'traffic.sidecar.istio.io/excludeOutboundPorts': past,
      'proxy.istio.io/config': JSON.stringify({ holdApplicationUntilProxyStarts: true, terminationDrainDuration: `${drainSeconds}s` }),
    },
  };
}

function portOf(endpoint: string): number {
  const { port, protocol } = new URL(endpoint);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
