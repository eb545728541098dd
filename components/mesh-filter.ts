import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { labels } from './labels.ts';

const PART = 'hfi-filter';

export interface MeshFilterArgs {
  /** Namespaces whose sidecars get the filter. */
  readonly namespaces: readonly pulumi.Input<string>[];
  /** Where the module is, and its SHA-256 in hex: other bytes must have another address. */
  readonly module: { readonly url: pulumi.Input<string>; readonly sha256: pulumi.Input<string> };
  readonly controlPlane: {
    /** Its host name inside the cluster, such as `hfi-control-plane.boifi.svc.cluster.local`. */
    readonly host: pulumi.Input<string>;
    readonly port: number;
    /** A token of the role `proxy`, or what gives each namespace one of its own. */
    readonly token: pulumi.Input<string> | ((namespace: string) => pulumi.Input<string>);
  };
  /** How long a proxy goes on faulting without hearing from the control plane, in milliseconds. */
  readonly leaseMs: number;
  /** How many requests one proxy holds in delays at a time. */
  readonly maxDelayedRequests: number;
  /** Adds the EnvoyFilter that shows the filter's metrics in a mesh that has its own `proxyStatsMatcher`. */
  readonly metricsFilter?: boolean;
}

/**
 * The filter in every sidecar of some namespaces. It fails open: without the module, the control plane or a configuration that it
 * can read, traffic flows as if it weren't there. A workload opts out with the label `hfi.dev/faults: "disabled"`.
 */
export class MeshFilter extends pulumi.ComponentResource {
  /** The namespaces that have it. */
  readonly namespaces: pulumi.Output<string[]>;

  constructor(name: string, args: MeshFilterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:MeshFilter', name, {}, opts);
    const own = { parent: this };
    const { host, port, token } = args.controlPlane;
    args.namespaces.forEach((namespace, i) => {
      const suffix = typeof namespace === 'string' ? namespace : String(i);
      new k8s.apiextensions.CustomResource(
        `${name}-${suffix}`,
        {
          apiVersion: 'extensions.istio.io/v1alpha1',
          kind: 'WasmPlugin',
          metadata: { name: PART, namespace, labels: labels(PART) },
          spec: {
            url: args.module.url,
            sha256: args.module.sha256,
            phase: 'AUTHN',
            failStrategy: 'FAIL_OPEN',
            imagePullPolicy: 'IfNotPresent',
            pluginConfig: {
              // The name that Istio gives to the cluster of a Service's port.
              cluster: pulumi.interpolate`outbound|${port}||${host}`,
              authority: pulumi.interpolate`${host}:${port}`,
              token: pulumi.secret(typeof token === 'function' ? pulumi.output(namespace).apply(token) : token),
              leaseMs: args.leaseMs,
              maxDelayedRequests: args.maxDelayedRequests,
            },
          },
        },
        own,
      );
      if (args.metricsFilter === true) {
        new k8s.apiextensions.CustomResource(
          `${name}-metrics-${suffix}`,
          {
            apiVersion: 'networking.istio.io/v1alpha3',
            kind: 'EnvoyFilter',
            metadata: { name: 'hfi-wasm-metrics', namespace, labels: labels(PART) },
            spec: {
              configPatches: [
                {
                  applyTo: 'BOOTSTRAP',
                  patch: {
                    operation: 'MERGE',
                    value: { stats_config: { stats_matcher: { inclusion_list: { patterns: [{ prefix: 'wasmcustom' }] } } } },
                  },
                },
              ],
            },
          },
          own,
        );
      }
    });
    this.namespaces = pulumi.all([...args.namespaces]);
    this.registerOutputs({ namespaces: this.namespaces });
  }
}
