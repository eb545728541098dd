import assert from 'node:assert/strict';
import { podsOf } from '../../cli/cluster/cluster.ts';
import { until } from '../support/processes.ts';
import { type TestStack, theStack } from './stack.ts';
import { SHOP } from './workloads/workloads.ts';

const SYSTEM = 'boifi';
const JOB = 'upkeep-now';

describe("cluster: etcd's upkeep", function () {
  this.timeout(120_000);
  let stack: TestStack;

  before(async () => {
    stack = await theStack();
    await stack.apply('kept', { selector: { namespace: SHOP, service: 'nobody' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => stack.deletePolicy('kept'));

  it('saves a snapshot and defragments, when it is its time', async () => {
    const cronJob = await stack.objects.get({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'hfi-etcd-upkeep', namespace: SYSTEM },
    });
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: JOB, namespace: SYSTEM }, spec: cronJob.spec.jobTemplate.spec };
    await stack.objects.apply(job);
    let status: { succeeded?: number; failed?: number } = {};
    await until(
      async () => {
        status = (await stack.objects.get(job))?.status ?? {};
        return status.succeeded !== undefined || status.failed !== undefined;
      },
      'the job has ended',
      90_000,
    );
    const [pod] = await podsOf(stack.cluster, SYSTEM, `job-name=${JOB}`);
    const log = await stack.log(SYSTEM, pod?.metadata?.name ?? '');
    // The job stays, as one does that somebody started by hand: its pod holds the volume, and destroy must end all the same.
    assert.equal(status.succeeded, 1, log);
    assert.match(log, /saved a snapshot/);
    assert.equal((await stack.hfi(['policy', 'get', 'kept'])).code, 0, 'the policies are there as before');
  });
});
