import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { PEER_PORT } from './in-mesh.ts';
import { labels, podSelector } from './labels.ts';

export interface NetworkPoliciesArgs {
  readonly namespace: pulumi.Input<string>;
  /** Where Prometheus runs; it may read metrics. */
  readonly monitoringNamespace?: string | undefined;
  /** Whether etcd is HFI's own. An etcd of others is reached over whatever port they have. */
  readonly ownEtcd: boolean;
  /** Whether etcd's upkeep is there; only ever with HFI's own etcd. */
  readonly etcdUpkeep: boolean;
  /** Whether the control plane has a sidecar; then replicas ask one another on a port that is past it. */
  readonly inMesh: boolean;
  /** Where the API is served over TLS, if it is. */
  readonly tlsPort: number | undefined;
  /** Whether the control plane asks the Kubernetes API. */
  readonly kubernetesApi: boolean;
  /** The ways to what else the control plane calls. */
  readonly egress: readonly k8s.types.input.networking.v1.NetworkPolicyEgressRule[];
}

type Peer = k8s.types.input.networking.v1.NetworkPolicyPeer;

/** Allows what the architecture's picture shows, and nothing else. */
export class NetworkPolicies extends pulumi.ComponentResource {
  constructor(name: string, args: NetworkPoliciesArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:NetworkPolicies', name, {}, opts);
    const own = { parent: this };
    const part = (one: string): Peer => ({ podSelector: { matchLabels: podSelector(one) } });
    const ports = (...numbers: number[]) => numbers.map((port) => ({ port, protocol: 'TCP' }));
    const anywhere: Peer = { namespaceSelector: {} };
    const istio: Peer = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'istio-system' } } };
    const metrics: Peer[] =
      args.monitoringNamespace === undefined
        ? []
        : [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': args.monitoringNamespace } } }];
    const names = {
      to: [anywhere],
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    };
    const policy = (one: string, spec: k8s.types.input.networking.v1.NetworkPolicySpec): void => {
      new k8s.networking.v1.NetworkPolicy(
        one,
        { metadata: { name: one, namespace: args.namespace, labels: labels('hfi-network') }, spec },
        own,
      );
    };
    policy('hfi-nothing', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    policy('hfi-control-plane', {
      podSelector: { matchLabels: podSelector('hfi-control-plane') },
      policyTypes: ['Ingress', 'Egress'],
      // Any namespace may have proxies; who may do what, the tokens say.
      ingress: [
        { from: [anywhere], ports: ports(8080, ...(args.tlsPort === undefined ? [] : [args.tlsPort])) },
        ...(args.inMesh ? [{ from: [part('hfi-control-plane'), ...metrics], ports: ports(PEER_PORT) }] : []),
      ],
      egress: [
        names,
        { to: [part('hfi-control-plane')], ports: ports(args.inMesh ? PEER_PORT : 8080) },
        args.ownEtcd ? { to: [part('hfi-etcd')], ports: ports(2379) } : {},
        // Its sidecar's configuration and certificate come from istiod.
        ...(args.inMesh ? [{ to: [istio], ports: ports(15012) }] : []),
        ...args.egress,
        // The API server is no pod: it has an address that no selector finds.
        ...(args.kubernetesApi ? [{ ports: ports(443, 6443) }] : []),
      ],
    });
    policy('wasm-server', {
      podSelector: { matchLabels: podSelector('wasm-server') },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [anywhere], ports: ports(8080) }],
    });
    if (args.ownEtcd) {
      policy('hfi-etcd', {
        podSelector: { matchLabels: podSelector('hfi-etcd') },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          { from: [part('hfi-control-plane'), ...(args.etcdUpkeep ? [part('hfi-etcd-upkeep')] : [])], ports: ports(2379) },
          { from: [part('hfi-etcd')], ports: ports(2379, 2380) },
          ...(metrics.length === 0 ? [] : [{ from: metrics, ports: ports(2381) }]),
        ],
        egress: [names, { to: [part('hfi-etcd')], ports: ports(2379, 2380) }],
      });
    }
    if (args.etcdUpkeep) {
      policy('hfi-etcd-upkeep', {
        podSelector: { matchLabels: podSelector('hfi-etcd-upkeep') },
        policyTypes: ['Ingress', 'Egress'],
        egress: [names, { to: [part('hfi-etcd')], ports: ports(2379) }],
      });
    }
    this.registerOutputs({});
  }
}
