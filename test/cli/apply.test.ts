import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { BusyApi } from './busy-api.ts';
import { type Ended, hfi } from './hfi.ts';
import { policyText, Stack } from './stack.ts';

describe('hfi policy apply', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
  });
  beforeEach(() => stack.empty());
  after(() => stack.end());

  const apply = (args: readonly string[], stdin?: string): Promise<Ended> =>
    stack.hfi(['policy', 'apply', ...args], { cwd: stack.processes.folder, ...(stdin === undefined ? {} : { stdin }) });

  async function names(): Promise<string[]> {
    const { body } = await stack.server.ask('GET', '/v1/policies');
    return (body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name).sort();
  }

  describe('sources', () => {
    it('every document of a file', async () => {
      stack.file('four.yaml', ['p1', 'p2', 'p3', 'p4'].map((name) => policyText(name)).join('---\n'));
      const { code, stdout, stderr } = await apply(['-f', 'four.yaml']);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'policy/p1 created\npolicy/p2 created\npolicy/p3 created\npolicy/p4 created\n');
      assert.deepEqual(await names(), ['p1', 'p2', 'p3', 'p4']);
    });

    it('what policy get prints', async () => {
      await apply(['-f', '-'], policyText('kept'));
      const { stdout } = await stack.hfi(['policy', 'get', 'kept']);
      const again = await apply(['-f', '-'], stdout.replace('503', '504'));
      assert.equal(again.stdout, 'policy/kept configured\n', again.stderr);
    });

    it('no file that is not text', async () => {
      stack.file('blob.yaml', '');
      writeFileSync(join(stack.processes.folder, 'blob.yaml'), Buffer.from([0xff, 0xfe, 0, 1, 2]));
      const { code, stderr } = await apply(['-f', 'blob.yaml']);
      assert.equal(code, 1);
      assert.match(stderr, /blob\.yaml: can not be read: it is no text in UTF-8/);
    });

    it('no number that JSON can not say, with its place', async () => {
      const { code, stderr } = await apply(['-f', '-'], policyText('nan', '{ abort: { httpStatus: .nan } }'));
      assert.equal(code, 1);
      assert.match(stderr, /stdin:6:\d+: \.nan is no number that can be sent/);
    });

    it('says at most 20 errors, each short enough to read', async () => {
      const { code, stderr } = await apply(['-f', '-'], `x: [${'}'.repeat(5000)}\n`);
      assert.equal(code, 1);
      assert.ok(stderr.length < 8000, `${stderr.length} characters`);
      const long = await apply(['-f', '-'], policyText('x').replace('fault', 'f'.repeat(100_000)));
      assert.ok(long.code === 1 && long.stderr.length < 1000, `${long.stderr.length} characters`);
    });

    it('warns once', async () => {
      const { stderr } = await apply(['-f', '-'], 'metadata: {name: all}\nspec: {rules: [{fault: {abort: {httpStatus: 503}}}]}\n');
      assert.equal(stderr.match(/every workload/g)?.length, 1, stderr);
    });

    it('standard input, with empty documents between', async () => {
      const { code, stderr } = await apply(['-f', '-'], `---\n---\n${policyText('a')}---\n# nothing\n---\n${policyText('b')}`);
      assert.equal(code, 0, stderr);
      assert.deepEqual(await names(), ['a', 'b']);
    });

    it('JSON', async () => {
      stack.file('j.json', JSON.stringify({ metadata: { name: 'j' }, spec: { rules: [{ fault: { abort: { httpStatus: 500 } } }] } }));
      assert.equal((await apply(['-f', 'j.json'])).stdout, 'policy/j created\n');
    });

    it('several files', async () => {
      stack.file('one.yaml', policyText('one'));
      stack.file('two.yaml', policyText('two'));
      await apply(['-f', 'one.yaml', '-f', 'two.yaml']);
      assert.deepEqual(await names(), ['one', 'two']);
    });

    it('a folder: its policies, not those in folders of it unless -R, and no other files', async () => {
      stack.file('dir/a.yaml', policyText('a'));
      stack.file('dir/b.yml', policyText('b'));
      stack.file('dir/c.json', JSON.stringify({ metadata: { name: 'c' }, spec: { rules: [{ fault: { abort: { httpStatus: 500 } } }] } }));
      stack.file('dir/notes.txt', 'not: [a policy');
      stack.file('dir/deep/d.yaml', policyText('d'));
      await apply(['-f', 'dir']);
      assert.deepEqual(await names(), ['a', 'b', 'c']);
      await apply(['-f', 'dir', '-R']);
      assert.deepEqual(await names(), ['a', 'b', 'c', 'd']);
    });

    it('a URL, and one that is not there', async () => {
      const server: Server = createServer((request, response) => {
        response.writeHead(request.url === '/p.yaml' ? 200 : 404).end(policyText('from-afar'));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        assert.equal((await apply(['-f', `${url}/p.yaml`])).stdout, 'policy/from-afar created\n');
        const missing = await apply(['-f', `${url}/q.yaml`]);
        assert.equal(missing.code, 1);
        assert.match(missing.stderr, /q\.yaml.*404/);
      } finally {
        server.close();
        server.closeAllConnections();
      }
    });

    it('the selector and every other part arrive', async () => {
      await apply(['-f', '-'], policyText('whole', '{ delay: { fixed_delay: 350ms }, percentage: 0.0001 }', 'checkout'));
      const { body } = await stack.server.ask('GET', '/v1/policies/whole');
      const { selector, rules } = body.spec as { selector: unknown; rules: { fault: Record<string, unknown> }[] };
      assert.deepEqual(selector, { namespace: 'demo', service: 'checkout' });
      assert.deepEqual(rules[0]?.fault.delay, { fixed_delay: '350ms' });
      assert.equal(rules[0]?.fault.percentage, 0.0001);
    });
  });

  it('created, unchanged, configured', async () => {
    const twice = async (text: string): Promise<string> => (await apply(['-f', '-'], text)).stdout;
    assert.equal(await twice(policyText('p')), 'policy/p created\n');
    assert.equal(await twice(policyText('p')), 'policy/p unchanged\n');
    assert.equal(await twice(policyText('p', '{ abort: { httpStatus: 500 } }')), 'policy/p configured\n');
  });

  describe('errors', () => {
    it('all of all files at once, each at its line and column, and nothing is applied', async () => {
      stack.file('good.yaml', policyText('good'));
      stack.file(
        'bad.yaml',
        [
          policyText('fine'),
          'metadata:\n  name: first\nspec:\n  selectr: {}\n  rules:\n    - fault:\n        abort:\n          httpStatus: 99\n        percentage: 101\n',
        ].join('---\n'),
      );
      stack.file('worse.yaml', policyText('second', '{ dealy: { fixed_delay: 2s } }'));
      const { code, stdout, stderr } = await apply(['-f', 'good.yaml', '-f', 'bad.yaml', '-f', 'worse.yaml']);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      // policyText has 6 lines and the mark 1: the second document's `metadata` is line 8.
      for (const wanted of [
        /bad\.yaml:11:3: spec\.selectr: .*selector/,
        /bad\.yaml:15:11: spec\.rules\[0\]\.fault\.abort\.httpStatus: /,
        /bad\.yaml:16:9: spec\.rules\[0\]\.fault\.percentage: /,
        /worse\.yaml:6:16: spec\.rules\[0\]\.fault\.dealy: .*delay/,
      ])
        assert.match(stderr, wanted);
      assert.doesNotMatch(stderr, /good\.yaml:|: .*fine/);
      assert.deepEqual(await names(), []);
    });

    it('several errors of syntax in several files, each at its place', async () => {
      stack.file('s1.yaml', 'metadata:\n  name: a\n  name: b\n');
      stack.file('s2.yaml', `${policyText('b')}---\nspec: [unclosed\n`);
      const { code, stderr } = await apply(['-f', 's1.yaml', '-f', 's2.yaml']);
      assert.equal(code, 1);
      assert.match(stderr, /s1\.yaml:3:\d+: /);
      assert.match(stderr, /s2\.yaml:9:1: /);
    });

    it('an error in JSON has its line and column too', async () => {
      stack.file(
        'bad.json',
        '{\n  "metadata": { "name": "j" },\n  "spec": { "rules": [ { "fault": { "abort": { "httpStatus": "no" } } } ] }\n}\n',
      );
      const { stderr } = await apply(['-f', 'bad.json']);
      assert.match(stderr, /bad\.json:3:48: spec\.rules\[0\]\.fault\.abort\.httpStatus: /);
    });

    it('the same name twice is refused, naming both places', async () => {
      stack.file('t1.yaml', policyText('twin'));
      stack.file('t2.yaml', policyText('twin'));
      const { code, stderr } = await apply(['-f', 't1.yaml', '-f', 't2.yaml']);
      assert.equal(code, 1);
      assert.match(stderr, /t2\.yaml:2:\d+.*twin.*t1\.yaml/);
      assert.deepEqual(await names(), []);
    });

    for (const [what, text] of [
      ['no name', 'spec: { rules: [ { fault: { abort: { httpStatus: 503 } } } ] }\n'],
      ['a name that is none', 'metadata: { name: "Not/A Name" }\nspec: { rules: [ { fault: { abort: { httpStatus: 503 } } } ] }\n'],
      ['a list', '- a\n- b\n'],
      ['a word', 'hello\n'],
      ['a number for a name', 'metadata: { name: 7 }\nspec: { rules: [ { fault: { abort: { httpStatus: 503 } } } ] }\n'],
    ] as const) {
      it(`${what} is refused at its place, without a stack trace`, async () => {
        const { code, stdout, stderr } = await apply(['-f', '-'], text);
        assert.equal(code, 1, stderr);
        assert.equal(stdout, '');
        assert.match(stderr, /stdin:1:\d+: /);
        assert.doesNotMatch(stderr, /\n\s+at /);
      });
    }

    it('an empty file is refused', async () => {
      const { code, stderr } = await apply(['-f', '-'], '# nothing here\n');
      assert.equal(code, 1);
      assert.match(stderr, /no policy/);
    });

    it('aliases that would grow without end are refused', async () => {
      const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]`)
        .join('\n')}\n`;
      const { code, stderr } = await apply(['-f', '-'], bomb);
      assert.equal(code, 1);
      assert.doesNotMatch(stderr, /\n\s+at /);
    });
  });

  describe('--dry-run', () => {
    it('changes nothing and says what would be', async () => {
      const { stdout } = await apply(['-f', '-', '--dry-run'], policyText('later'));
      assert.equal(stdout, 'policy/later created (dry run)\n');
      assert.deepEqual(await names(), []);
    });
    it('names the proxies that would be hit', async () => {
      await stack.server.poll({ name: 'sidecar-of-frontend' });
      const dry = await apply(['-f', '-', '--dry-run'], policyText('later'));
      assert.match(dry.stderr, /^policy\/later selects \d+ prox(y|ies):\n(?: {2}.+\n)* {2}sidecar-of-frontend\n/m);
      const wet = await apply(['-f', '-'], policyText('later'));
      assert.doesNotMatch(wet.stderr, /sidecar-of-frontend/);
    });
    it('--output json says that it was one', async () => {
      const { stdout } = await apply(['-f', '-', '--dry-run', '-o', 'json'], policyText('later'));
      assert.equal((JSON.parse(stdout) as { dryRun: boolean }).dryRun, true);
    });
  });

  it('--duration-seconds and --start-delay-ms override every rule of every document', async () => {
    const text = `${policyText('x', '{ abort: { httpStatus: 503 }, duration_seconds: 5 }')}    - fault: { abort: { httpStatus: 500 } }\n---\n${policyText('y')}`;
    await apply(['-f', '-', '--duration-seconds', '120', '--start-delay-ms', '50'], text);
    for (const name of ['x', 'y']) {
      const { body } = await stack.server.ask('GET', `/v1/policies/${name}`);
      const faults = (body.spec as { rules: { fault: { duration_seconds: number; start_delay_ms: number } }[] }).rules.map(
        ({ fault }) => fault,
      );
      assert.equal(faults.length, name === 'x' ? 2 : 1);
      for (const fault of faults) assert.deepEqual([fault.duration_seconds, fault.start_delay_ms], [120, 50]);
    }
  });

  describe('--wait', () => {
    /** A proxy that polls as the filter does: it asks, takes the ruleset, and acknowledges it with the next poll. */
    async function proxy(name: string, gone: AbortSignal): Promise<void> {
      let has: string | undefined;
      while (!gone.aborted) {
        const answer = await stack.server
          .poll({ name, wait: 5, signal: gone, ...(has === undefined ? {} : { has }) })
          .catch(() => undefined);
        if (answer?.status === 200) has = answer.headers.get('etag') ?? undefined;
      }
    }

    it('returns when all selected proxies acknowledged', async () => {
      const gone = new AbortController();
      const proxies = [proxy('sidecar-a', gone.signal), proxy('sidecar-b', gone.signal)];
      try {
        await stack.hfi(['proxy', 'list']);
        const { code, stderr } = await apply(['-f', '-', '--wait'], policyText('waited'));
        assert.equal(code, 0, stderr);
        assert.match(stderr, /policy\/waited acknowledged by 2 of 2 proxies in \d+ ms/);
      } finally {
        gone.abort();
        await Promise.all(proxies);
      }
    });

    it('not in time: names who is missing, exit code 6, the policy stays applied', async () => {
      await stack.server.poll({ name: 'sidecar-silent' });
      const { code, stdout, stderr } = await apply(['-f', '-', '--wait', '--timeout', '1s'], policyText('waited'));
      assert.equal(code, 6, stderr);
      assert.equal(stdout, 'policy/waited created\n');
      assert.match(stderr, /sidecar-silent/);
      assert.deepEqual(await names(), ['waited']);
    });

    it('has another name, which kubectl gives it', async () => {
      const { code, stdout } = await apply(['-f', '-', '--dry-run=server'], policyText('later'));
      assert.deepEqual([code, stdout], [0, 'policy/later created (dry run)\n']);
    });

    it('does not go with --dry-run', async () => {
      const { code, stderr } = await apply(['-f', '-', '--wait', '--dry-run'], policyText('x'));
      assert.equal(code, 2);
      assert.match(stderr, /--wait/);
    });
  });

  it('warns when no proxy is selected', async () => {
    const { code, stderr } = await apply(['-f', '-'], policyText('lonely', '{ abort: { httpStatus: 503 } }', 'nobody'));
    assert.equal(code, 0);
    assert.match(stderr, /warning: policy\/lonely selects no connected proxy/);
  });

  it('says what the selector may have meant, once', async () => {
    await stack.server.poll({ name: 'sidecar-of-frontend' });
    for (const args of [[], ['--dry-run']]) {
      const { stderr } = await apply(['-f', '-', ...args], policyText('near', '{ abort: { httpStatus: 503 } }', 'fronted'));
      const said = /warning: policy\/near: It selects no proxy: service "fronted" matches no proxy; did you mean "frontend"\?\n/g;
      assert.equal(stderr.match(said)?.length, 1, stderr);
    }
  });

  it('of several files of which one fails at the end: says which are applied and which are not, exit code 6', async () => {
    const proxied = await BusyApi.start(stack.server.url, 'q2');
    try {
      const text = ['q1', 'q2', 'q3'].map((name) => policyText(name)).join('---\n');
      const { code, stdout, stderr } = await stack.hfi(['policy', 'apply', '-f', '-', '--control-plane-addr', proxied.url], {
        stdin: text,
        cwd: stack.processes.folder,
      });
      assert.equal(code, 6, stderr);
      assert.equal(stdout, 'policy/q1 created\n');
      assert.match(stderr, /applied: policy\/q1; not applied: policy\/q2, policy\/q3: .*etcd/);
      assert.deepEqual(await names(), ['q1']);
    } finally {
      proxied.stop();
    }
  });
});

describe('hfi: from anywhere', () => {
  it('a path is read from the working directory', async () => {
    const { code, stderr } = await hfi(['policy', 'apply', '-f', 'package.json', '--control-plane-addr', 'http://127.0.0.1:1'], {
      cwd: join(import.meta.dirname),
      env: { HFI_TOKEN: 'a-token-of-the-test' },
    });
    assert.equal(code, 1);
    assert.match(stderr, /package\.json.*not there/);
  });
});
