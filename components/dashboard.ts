/** A panel of Grafana's dashboard model, as far as it is used here. */
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: 'timeseries' | 'stat';
  readonly datasource: { readonly type: 'prometheus'; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly refId: string; readonly expr: string; readonly legendFormat: string }[];
  readonly fieldConfig: { readonly defaults: { readonly unit: string }; readonly overrides: readonly never[] };
}

const PANELS: readonly [title: string, type: Panel['type'], unit: string, legend: string, expr: string][] = [
  ['Active policies', 'stat', 'short', '', 'max(hfi_policies{state="active"})'],
  ['Proxies connected', 'stat', 'short', '', 'sum(hfi_proxies{state="connected"})'],
  ['Proxies that run what they should', 'stat', 'short', '', 'sum(hfi_proxies{state="current"})'],
  ['Proxies that refuse', 'stat', 'short', '', 'sum(hfi_proxies{state="refusing"})'],
  ['Aborts', 'timeseries', 'reqps', '{{namespace}}/{{pod}}', 'sum by (namespace, pod) (rate(wasmcustom_hfi_faults_aborts_total[1m]))'],
  ['Delays', 'timeseries', 'reqps', '{{namespace}}/{{pod}}', 'sum by (namespace, pod) (rate(wasmcustom_hfi_faults_delays_total[1m]))'],
  [
    'Delay, 99th percentile',
    'timeseries',
    'ms',
    '',
    'histogram_quantile(0.99, sum by (le) (rate(wasmcustom_hfi_faults_delay_duration_milliseconds_bucket[5m])))',
  ],
  ['Requests held now', 'timeseries', 'short', '{{namespace}}/{{pod}}', 'sum by (namespace, pod) (wasmcustom_hfi_requests_delayed)'],
  ['API answers', 'timeseries', 'reqps', '{{status}}', 'sum by (status) (rate(hfi_http_requests_total[1m]))'],
  ["Age of the replicas' copy", 'timeseries', 's', '{{pod}}', 'hfi_etcd_copy_age_seconds'],
];

/** The Grafana dashboard, for a ConfigMap that Grafana's sidecar loads. */
export function dashboard(): string {
  const panels = PANELS.map(([title, type, unit, legendFormat, expr], i): Panel => {
    const stat = i < 4;
    const at = stat ? { x: i * 6, y: 0, w: 6, h: 4 } : { x: ((i - 4) % 2) * 12, y: 4 + Math.floor((i - 4) / 2) * 8, w: 12, h: 8 };
    return {
      id: i + 1,
      title,
      type,
      datasource: { type: 'prometheus', uid: '${datasource}' },
      gridPos: at,
      targets: [{ refId: 'A', expr, legendFormat }],
      fieldConfig: { defaults: { unit }, overrides: [] },
    };
  });
  const model = {
    uid: 'hfi',
    title: 'HFI',
    tags: ['hfi'],
    schemaVersion: 39,
    time: { from: 'now-1h', to: 'now' },
    refresh: '10s',
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus' }] },
    panels,
  };
  return `${JSON.stringify(model, null, 2)}\n`;
}
