import assert from 'node:assert/strict';
import { NODE_OPTIONS } from '../../components/node-options.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, residentMemory } from '../support/processes.ts';

const MIB = 1024 * 1024;
const ANSWERED_MS = 3000;
const NAME = 'hostile';
const head = `metadata: {name: ${NAME}}\nspec:\n  rules:\n`;
const matching = (regex: string) =>
  `${head}    - match: {path: {regex: ${JSON.stringify(regex)}}}\n      fault: {abort: {httpStatus: 503}}\n`;

/** Documents of nobody who means well, and what each is answered. */
const POLICIES: readonly (readonly [name: string, body: string, statuses: readonly number[], type?: string])[] = [
  ['a regex of a megabyte', matching('a?'.repeat(500_000)), [400]],
  ['a regex that multiplies itself', matching('((((a{1,100}){1,100}){1,100}){1,100})'), [400]],
  ['a regex with 1,000 groups in one another', matching(`${'('.repeat(1000)}a${')'.repeat(1000)}`), [400]],
  ['a regex that makes others backtrack', matching('(a+)+(b|b?)+(c*)*$'), [200, 201]],
  ['10 MB', `${head}    - fault: {abort: {httpStatus: 503, body: ${'x'.repeat(10 * MIB)}}}\n`, [413]],
  ['YAML 100,000 levels deep', '['.repeat(100_000), [400]],
  ['YAML 5,000 levels deep, closed', `${head}    - ${'['.repeat(5000)}${']'.repeat(5000)}\n`, [400]],
  ['JSON 100,000 levels deep', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, [400], 'application/json'],
  [
    'aliases of aliases',
    `a: &a [${'x,'.repeat(9)}x]\n${[...'bcdefghi'].map((name, i) => `${name}: &${name} [${`*${'abcdefghi'[i]},`.repeat(9)}*${'abcdefghi'[i]}]`).join('\n')}\n`,
    [400],
  ],
  ['an alias of itself', 'a: &a [*a]\n', [400]],
  ['merge keys of one another', `a: &a {x: 1}\n${Array.from({ length: 500 }, (_, i) => `k${i}: {<<: *a}`).join('\n')}\n`, [400]],
  ['100,000 keys', `{${Array.from({ length: 60_000 }, (_, i) => `"k${i}": 1`).join(',')}}`, [400], 'application/json'],
  ['__proto__ as a field', `{"metadata":{"name":"${NAME}"},"spec":{"__proto__":{"rules":[]},"rules":[]}}`, [400], 'application/json'],
  [
    'constructor as a field',
    `{"metadata":{"name":"${NAME}"},"spec":{"constructor":{"prototype":{"x":1}},"rules":[]}}`,
    [400],
    'application/json',
  ],
  ['__proto__ as a header', `${head}    - fault: {abort: {httpStatus: 503, headers: {__proto__: x}}}\n`, [400]],
  ['tags that make objects', `!!js/function 'function () {}'\n`, [400]],
];

describe('chaos: whoever means harm', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    // As in a pod: what V8 lets lie as garbage where there is room says nothing of what a request takes.
    replica = await Replica.start(processes, (await Etcd.start(processes)).url, { env: { NODE_OPTIONS } });
  });
  after(() => processes.end());

  /** Does something, and asks meanwhile, again and again, as a proxy and a reader do. */
  async function beside<T>(work: Promise<T>): Promise<{ result: T; longest: number }> {
    let going = true;
    let longest = 0;
    const asking = (async () => {
      while (going) {
        const from = performance.now();
        assert.equal((await replica.poll({ name: 'good' })).status, 200);
        longest = Math.max(longest, performance.now() - from);
      }
    })();
    const result = await work.finally(() => {
      going = false;
    });
    await asking;
    return { result, longest };
  }

  for (const [name, body, statuses, type = 'application/yaml'] of POLICIES) {
    it(`a policy with ${name} is answered ${statuses.join(' or ')} in time, and holds up nobody`, async () => {
      const before = residentMemory(replica.child.pid ?? 0);
      const from = performance.now();
      const { result, longest } = await beside(
        replica.ask('PUT', `/v1/policies/${NAME}`, { body, headers: { 'content-type': type } }).catch((error: Error) => {
          // Who sends more than is taken may be cut off instead.
          assert.ok(statuses.includes(413), String(error.cause));
          return undefined;
        }),
      );
      const ms = performance.now() - from;
      assert.ok(result === undefined || statuses.includes(result.status), `${result?.status} ${result?.text.slice(0, 300)}`);
      assert.ok((result?.text.length ?? 0) < 100_000, 'the answer is short');
      assert.ok(ms < ANSWERED_MS && longest < ANSWERED_MS, `${Math.round(ms)} ms, a poll meanwhile ${Math.round(longest)} ms`);
      const grown = residentMemory(replica.child.pid ?? 0) - before;
      assert.ok(grown < 150 * MIB, `${Math.round(grown / MIB)} MiB more`);
      const status = (await replica.ask('GET', `/v1/policies/${NAME}`)).status;
      assert.equal(status, statuses.includes(201) ? 200 : 404);
      if (status === 200) await replica.ask('DELETE', `/v1/policies/${NAME}`);
      assert.equal(({} as Record<string, unknown>).rules, undefined);
    });
  }

  it('a token for proxies that makes up 10,000 of them takes bounded memory, and the good ones are served', async () => {
    const before = residentMemory(replica.child.pid ?? 0);
    const flood = async (): Promise<Reply[]> => {
      const last: Reply[] = [];
      for (let i = 0; i < 100; i++) {
        const replies = await Promise.all(
          Array.from({ length: 100 }, (_, j) => replica.poll({ name: `made-up-${i}-${j}`, labels: `app=${'x'.repeat(900)}-${i}-${j}` })),
        );
        last.push(...replies.slice(-1));
      }
      return last;
    };
    const { result, longest } = await beside(flood());
    assert.deepEqual(
      [...new Set(result.map(({ status }) => status))].filter((status) => status !== 429),
      [200],
    );
    const grown = residentMemory(replica.child.pid ?? 0) - before;
    process.stdout.write(`    ${Math.round(grown / MIB)} MiB more, the slowest poll of a good one ${Math.round(longest)} ms\n`);
    assert.ok(grown < 200 * MIB, `${Math.round(grown / MIB)} MiB more`);
    assert.ok(longest < 2000, `${Math.round(longest)} ms`);
  });
});
