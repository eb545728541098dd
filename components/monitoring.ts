import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { alerts } from './alerts.ts';
import { dashboard } from './dashboard.ts';
import { labels, podSelector } from './labels.ts';

export interface MonitoringArgs {
  readonly namespace: pulumi.Input<string>;
  /** Namespaces whose sidecars have the filter. */
  readonly meshNamespaces: readonly string[];
  readonly ownEtcd: boolean;
  /** The name of the port at which the control plane's metrics are read. */
  readonly controlPlanePort: string;
  /** Whether the Prometheus operator is there, without which there are no PodMonitors and alert rules. */
  readonly operator: boolean;
  /** Labels by which the operator chooses PodMonitors and alert rules. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What Grafana's sidecar and the Prometheus operator need to watch HFI. */
export class Monitoring extends pulumi.ComponentResource {
  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Monitoring', name, {}, opts);
    const metadata = (one: string, more: Readonly<Record<string, string>>) => ({
      name: one,
      namespace: args.namespace,
      labels: { ...labels('hfi-monitoring'), ...more },
    });
    new k8s.core.v1.ConfigMap(
      'hfi-dashboard',
      { metadata: metadata('hfi-dashboard', { grafana_dashboard: '1' }), data: { 'hfi.json': dashboard() } },
      { parent: this },
    );
    if (args.operator) {
      const make = (kind: 'PodMonitor' | 'PrometheusRule', one: string, spec: object): void => {
        new k8s.apiextensions.CustomResource(
          one,
          { apiVersion: 'monitoring.coreos.com/v1', kind, metadata: metadata(one, args.labels), spec },
          { parent: this },
        );
      };
      for (const [one, spec] of Object.entries(podMonitors(args))) make('PodMonitor', one, spec);
      make('PrometheusRule', 'hfi-alerts', { groups: [{ name: 'hfi', rules: alerts }] });
    }
    this.registerOutputs({});
  }
}

/** What Prometheus reads, by the PodMonitors' names. */
function podMonitors({ ownEtcd, controlPlanePort, meshNamespaces }: MonitoringArgs): Record<string, object> {
  const part = (name: string, port: string): object => ({
    selector: { matchLabels: podSelector(name) },
    podMetricsEndpoints: [{ port, path: '/metrics' }],
  });
  return {
    'hfi-control-plane': part('hfi-control-plane', controlPlanePort),
    ...(ownEtcd ? { 'hfi-etcd': part('hfi-etcd', 'metrics') } : {}),
    'hfi-sidecars': {
      namespaceSelector: { matchNames: meshNamespaces },
      selector: { matchExpressions: [{ key: 'security.istio.io/tlsMode', operator: 'Exists' }] },
      podMetricsEndpoints: [
        {
          path: '/stats/prometheus',
          // The sidecar's port for it; what is not the filter's would come twice where the mesh is watched already.
          targetPort: 15090,
          metricRelabelings: [{ action: 'keep', sourceLabels: ['__name__'], regex: 'wasmcustom_hfi_.*' }],
        },
      ],
    },
  };
}
