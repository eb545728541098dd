/** One alert rule of Prometheus. */
export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: 'warning' | 'critical' };
  readonly annotations: { readonly summary: string; readonly description: string };
}

/** What somebody should look at, by the names of `docs/metrics.md`. */
export const alerts: readonly Alert[] = [
  {
    alert: 'HfiControlPlaneDown',
    expr: 'absent(hfi_etcd_following) or max(hfi_etcd_following) == 0',
    for: '2m',
    labels: { severity: 'critical' },
    annotations: {
      summary: 'No replica of the control plane follows etcd.',
      description: 'Policies can not be changed. Faults end with their lease. Run `hfi doctor`.',
    },
  },
  {
    alert: 'HfiProxyRefusesRulesets',
    expr: 'sum by (namespace, pod) (increase(wasmcustom_hfi_rulesets_refused_total[10m])) > 0',
    for: '1m',
    labels: { severity: 'warning' },
    annotations: {
      summary: '{{ $labels.namespace }}/{{ $labels.pod }} refuses what the control plane sends.',
      description: 'It goes on with the ruleset that it has until its lease ends. `hfi proxy list` says why.',
    },
  },
  {
    alert: 'HfiProxyCutOff',
    expr: 'min by (namespace, pod) (wasmcustom_hfi_connected) == 0',
    for: '5m',
    labels: { severity: 'warning' },
    annotations: {
      summary: '{{ $labels.namespace }}/{{ $labels.pod }} does not reach the control plane.',
      description: 'No policy reaches it, and its faults have ended with the lease.',
    },
  },
  {
    alert: 'HfiClockSetBack',
    expr: 'max by (pod) (hfi_clock_behind_seconds) > 1',
    for: '1m',
    labels: { severity: 'warning' },
    annotations: {
      summary: "The clock of {{ $labels.pod }}'s machine was set back.",
      description: 'The replica goes on by its own time, so that no policy ends late. Set the clock right, then restart the pod.',
    },
  },
  {
    alert: 'HfiAuditSetBack',
    expr: 'sum(increase(hfi_audit_set_back_total[10m])) > 0',
    for: '0m',
    labels: { severity: 'critical' },
    annotations: {
      summary: "The audit's chain in etcd is not the one that was there.",
      description:
        'Its end was cut off or set back, or a backup was restored. The log of the control plane has the seals that were known; docs/audit.md says how to compare.',
    },
  },
  {
    alert: 'HfiFaultsWithoutPolicy',
    expr: 'sum(rate(wasmcustom_hfi_faults_aborts_total[5m])) + sum(rate(wasmcustom_hfi_faults_delays_total[5m])) > 0 and on () max(hfi_policies{state="active"}) == 0',
    for: '5m',
    labels: { severity: 'critical' },
    annotations: {
      summary: 'Requests are faulted though no policy is active.',
      description: 'A proxy runs an old ruleset. `hfi proxy list` names it.',
    },
  },
  {
    alert: 'HfiFaultsWhileHalted',
    // Halted for longer than the rates look back.
    expr: '(sum by (namespace, pod) (rate(wasmcustom_hfi_faults_aborts_total[2m])) + sum by (namespace, pod) (rate(wasmcustom_hfi_faults_delays_total[2m]))) > 0 and on (namespace, pod) min by (namespace, pod) (min_over_time(wasmcustom_hfi_halted[5m])) == 1',
    for: '1m',
    labels: { severity: 'critical' },
    annotations: {
      summary: '{{ $labels.namespace }}/{{ $labels.pod }} faults requests though it is halted.',
      description: 'It must not. Take the plugin off it, restart the pod, and tell the makers of HFI.',
    },
  },
  {
    alert: 'HfiPolicyActiveForLong',
    expr: 'max(hfi_policies{state="active"}) > 0',
    for: '24h',
    labels: { severity: 'warning' },
    annotations: {
      summary: 'There were active policies for a whole day.',
      description: 'An experiment may have been forgotten: `hfi policy list`.',
    },
  },
];
