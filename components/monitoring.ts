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
}

const CUSTOM = 'monitoring.coreos.com/v1';

/** What the Prometheus operator and Grafana's sidecar need to watch HFI. */
export class Monitoring extends pulumi.ComponentResource {
  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Monitoring', name, {}, opts);
    const own = { parent: this };
    const metadata = (one: string) => ({ name: one, namespace: args.namespace, labels: labels('hfi-monitoring') });
    const podMonitor = (one: string, spec: object): void => {
      new k8s.apiextensions.CustomResource(one, { apiVersion: CUSTOM, kind: 'PodMonitor', metadata: metadata(one), spec }, own);
    };
    podMonitor('hfi-control-plane', {
      selector: { matchLabels: podSelector('hfi-control-plane') },
      podMetricsEndpoints: [{ port: 'http', path: '/metrics' }],
    });
    if (args.ownEtcd) {
      podMonitor('hfi-etcd', {
        selector: { matchLabels: podSelector('hfi-etcd') },
        podMetricsEndpoints: [{ port: 'metrics', path: '/metrics' }],
      });
    }
    podMonitor('hfi-sidecars', {
      namespaceSelector: { matchNames: args.meshNamespaces },
      selector: { matchExpressions: [{ key: 'security.istio.io/tlsMode', operator: 'Exists' }] },
      podMetricsEndpoints: [
        {
          path: '/stats/prometheus',
          // The sidecar's port for it; what is not the filter's would come twice where the mesh is watched already.
          targetPort: 15090,
          metricRelabelings: [{ action: 'keep', sourceLabels: ['__name__'], regex: 'wasmcustom_hfi_.*' }],
        },
      ],
    });
    new k8s.apiextensions.CustomResource(
      'hfi-alerts',
      {
        apiVersion: CUSTOM,
        kind: 'PrometheusRule',
        metadata: metadata('hfi-alerts'),
        spec: { groups: [{ name: 'hfi', rules: alerts }] },
      },
      own,
    );
    new k8s.core.v1.ConfigMap(
      'hfi-dashboard',
      {
        metadata: { ...metadata('hfi-dashboard'), labels: { ...labels('hfi-monitoring'), grafana_dashboard: '1' } },
        data: { 'hfi.json': dashboard() },
      },
      own,
    );
    this.registerOutputs({});
  }
}
