import assert from 'node:assert/strict';
import { policyProvider } from '../../components/policy-provider.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';

const SPEC = { rules: [{ fault: { abort: { httpStatus: 503 } } }] };

describe('FaultPolicy, against a real control plane', () => {
  let processes: Processes;
  let replica: Replica;

  before(async function () {
    this.timeout(60_000);
    processes = await Processes.begin();
    replica = await Replica.start(processes, (await Etcd.start(processes)).url);
  });
  after(() => processes.end());

  const inputs = (name: string, spec: object = SPEC, token: string = TOKENS.admin) => ({
    endpoint: replica.url,
    token,
    name,
    spec: JSON.stringify(spec),
  });
  const { create, read, diff, update, delete: remove } = policyProvider;

  it('is made, changed in place, seen to drift, and deleted', async () => {
    assert.ok(read && diff && update && remove);
    const { id, outs } = await create(inputs('mine'));
    assert.equal(id, 'mine');
    assert.ok(outs);
    assert.equal((await diff(id, outs, inputs('mine'))).changes, false);

    const wanted = inputs('mine', { ...SPEC, priority: 7 });
    const change = await diff(id, outs, wanted);
    assert.deepEqual([change.changes, change.replaces], [true, []]);
    const { outs: updated } = await update(id, outs, wanted);
    assert.ok(updated);
    const shown = async () => (await replica.ask('GET', '/v1/policies/mine')).body as { spec: { priority: number } };
    assert.equal((await shown()).spec.priority, 7);

    await replica.put('mine', { ...SPEC, priority: 8 });
    const { props: drifted } = await read(id, updated);
    assert.ok(drifted);
    assert.equal((await diff(id, drifted, wanted)).changes, true, 'the drift is seen');

    await remove(id, updated);
    assert.equal((await replica.ask('GET', '/v1/policies/mine')).status, 404);
    await remove(id, updated);
    assert.equal((await read(id, updated)).id, '', 'gone, so it is made anew');
  });

  it('another name is another policy', async () => {
    assert.ok(diff && remove);
    const { outs } = await create(inputs('old-name'));
    assert.ok(outs);
    assert.deepEqual((await diff('old-name', outs, inputs('new-name'))).replaces, ['name']);
    await remove('old-name', outs);
  });

  it('does not take over a policy that is there already', async () => {
    await replica.put('theirs', SPEC as never);
    await assert.rejects(create(inputs('theirs')), /already, and it isn't this stack's.*adopt/);
    const { outs } = await create({ ...inputs('theirs', { ...SPEC, priority: 3 }), adopt: true });
    assert.ok(outs?.resourceVersion);
  });

  it('says what the control plane refuses, and that it is not there', async () => {
    await assert.rejects(
      create(inputs('bad', { rules: [{ fault: { abort: { httpStatus: 99 } } }] })),
      /refuses policy bad: spec\.rules\[0\]/,
    );
    await assert.rejects(create(inputs('seen', SPEC, TOKENS.viewer)), /refuses policy seen: .*role viewer/);
    await assert.rejects(create({ ...inputs('nowhere'), endpoint: 'http://127.0.0.1:65533' }), /can not be reached \(ECONNREFUSED\)/);
  });
});
