import assert from 'node:assert/strict';
import { RunError } from '@pulumi/pulumi';
import { readStackConfig } from '../../components/config.ts';

describe('stack configuration', () => {
  const refused: [string, string, RegExp][] = [
    ['hfi:systemNamespace', 'Boifi', /hfi:systemNamespace is "Boifi", but must be a DNS label/],
    ['hfi:systemNamespace', '', /hfi:systemNamespace is "", but must be a DNS label/],
    ['hfi:systemNamespace', `${'a'.repeat(64)}`, /hfi:systemNamespace .* at most 63/],
    ['hfi:lease', '4999ms', /hfi:lease is "4999ms", but must be a duration from 5s to 1h/],
    ['hfi:lease', '3600001ms', /hfi:lease .* from 5s to 1h/],
    ['hfi:lease', '60', /hfi:lease is "60", but must be a duration/],
    ['hfi:maxDelayedRequests', '0', /hfi:maxDelayedRequests is "0", but must be a whole number from 1 to 100000/],
    ['hfi:maxDelayedRequests', '100001', /hfi:maxDelayedRequests .* from 1 to 100000/],
    ['hfi:maxDelayedRequests', '1e3', /hfi:maxDelayedRequests is "1e3"/],
    ['hfi:leese', '60s', /hfi:leese is no setting\. Did you mean hfi:lease\?/],
    ['hfi:maxDelayedRequest', '5', /hfi:maxDelayedRequest is no setting\. Did you mean hfi:maxDelayedRequests\?/],
    ['hfi:replicas', '2', /hfi:replicas is no setting\. There are hfi:systemNamespace, hfi:lease, hfi:maxDelayedRequests\./],
  ];
  for (const [key, value, message] of refused) {
    it(`refuses ${key} = ${JSON.stringify(value.slice(0, 12))}`, () => {
      assert.throws(() => readStackConfig({ [key]: value }, 'hfi'), message);
    });
  }

  const accepted: [string, string, Partial<ReturnType<typeof readStackConfig>>][] = [
    ['hfi:lease', '5s', { leaseMs: 5000 }],
    ['hfi:lease', '1h', { leaseMs: 3_600_000 }],
    ['hfi:maxDelayedRequests', '1', { maxDelayedRequests: 1 }],
    ['hfi:maxDelayedRequests', '100000', { maxDelayedRequests: 100_000 }],
    ['hfi:systemNamespace', 'a', { systemNamespace: 'a' }],
  ];
  for (const [key, value, wanted] of accepted) {
    it(`takes ${key} = ${value}`, () => {
      const defaults = readStackConfig({}, 'hfi');
      assert.deepEqual(readStackConfig({ [key]: value }, 'hfi'), { ...defaults, ...wanted });
    });
  }

  it('names every wrong key at once, and hides the stack trace', () => {
    const wrong = { 'hfi:lease': 'x', 'hfi:maxDelayedRequests': 'y', 'hfi:z': '' };
    assert.throws(
      () => readStackConfig(wrong, 'hfi'),
      (error) => RunError.isInstance(error) && ['hfi:lease', 'hfi:maxDelayedRequests', 'hfi:z'].every((key) => error.message.includes(key)),
    );
  });

  it("leaves other namespaces' settings alone", () => {
    assert.doesNotThrow(() => readStackConfig({ 'kubernetes:context': 'kind', 'pulumi:tags': '{}' }, 'hfi'));
  });
});
