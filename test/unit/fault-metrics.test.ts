import assert from 'node:assert/strict';
import { faultMetrics } from '../../cli/fault-metrics.ts';

describe('fault metrics', () => {
  it('are summed over their labels', () => {
    const page = [
      '# TYPE wasmcustom_hfi_faults_aborts_total counter',
      'wasmcustom_hfi_faults_aborts_total{} 7',
      'wasmcustom_hfi_faults_delays_total{a="1"} 2',
      'wasmcustom_hfi_faults_delays_total{a="2"} 3',
      'wasmcustom_hfi_faults_delays_overflow_total 9',
      'wasmcustom_hfi_faults_delay_duration_milliseconds_sum{} 1.5e+03',
    ].join('\n');
    assert.deepEqual(faultMetrics(page), { aborts: 7, delays: 5, delayMs: 1500 });
  });

  it('are none where the filter shows none', () => assert.equal(faultMetrics('envoy_server_live 1\n'), undefined));
});
