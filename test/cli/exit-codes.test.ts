import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TOKENS } from '../support/control-plane.ts';
import { type Ended, hfi } from './hfi.ts';
import { policyText, Stack } from './stack.ts';

interface Row {
  readonly what: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly code: number;
  /** What the message must say: the cause, and what to do. */
  readonly says: RegExp;
}

/** What holds for every failure that a user can cause: nothing on stdout, no stack trace. */
function assertFailure({ code, stdout, stderr }: Ended, row: Pick<Row, 'code' | 'says'>): void {
  assert.equal(code, row.code, `exit code; stderr was: ${stderr}`);
  assert.match(stderr, row.says);
  assert.doesNotMatch(stderr, /\n\s+at /, 'a stack trace');
  assert.equal(stdout, '', 'failures belong on stderr');
}

describe('hfi: exit codes', function () {
  this.timeout(60_000);
  let stack: Stack;

  before(async () => {
    stack = await Stack.start();
    await stack.server.put('there', { selector: {}, rules: [{ fault: { abort: { httpStatus: 503 } } }] });
  });
  after(() => stack.end());

  it('0: done', async () => {
    const { code, stdout } = await stack.hfi(['policy', 'list']);
    assert.equal(code, 0);
    assert.match(stdout, /^NAME .*\nthere /);
  });

  const rows: Row[] = [
    { what: '1: not valid', args: ['policy', 'apply', '-f', 'bad.yaml'], code: 1, says: /httpStatus/ },
    { what: '2: an unknown command, with the nearest', args: ['polcy', 'list'], code: 2, says: /did you mean "hfi policy( list)?"/ },
    { what: '2: an unknown command of a topic', args: ['policy', 'lst'], code: 2, says: /did you mean "hfi policy list"/ },
    { what: '2: an unknown flag, with the nearest', args: ['policy', 'list', '--ouput', 'json'], code: 2, says: /--output/ },
    { what: '2: a value that a flag does not take', args: ['policy', 'list', '-o', 'xml'], code: 2, says: /table, json, yaml/ },
    { what: '2: a needed argument is missing', args: ['policy', 'get'], code: 2, says: /^error: Missing 1 required arg: name/ },
    { what: '2: a needed flag is missing', args: ['policy', 'apply'], code: 2, says: /filename/ },
    { what: '2: too many arguments', args: ['policy', 'get', 'a', 'b'], code: 2, says: /argument/i },
    { what: '2: no duration', args: ['policy', 'list', '--timeout', 'soon'], code: 2, says: /--timeout.*10s/ },
    ...['get', 'describe', 'delete'].map((command) => ({
      what: `2: ${command} of an empty name`,
      args: ['policy', command, ''],
      code: 2,
      says: /name is empty/,
    })),
    { what: '2: a lease that no filter takes', args: ['sandbox', 'up', '--lease', '500ms'], code: 2, says: /--lease.*1s/ },
    ...['nope', 'localhost:99999'].map((upstream) => ({
      what: `2: ${upstream} is no address of a service`,
      args: ['sandbox', 'run', '--upstream', upstream],
      code: 2,
      says: /--upstream.*localhost:3000/,
    })),
    {
      what: '2: two ports that are the same',
      args: ['sandbox', 'up', '--port', '9000', '--frontend-port', '9000'],
      code: 2,
      says: /--port and --frontend-port are both 9000/,
    },
    { what: '2: a token that is none', args: ['policy', 'list'], env: { HFI_TOKEN: 'two\nlines' }, code: 2, says: /token.*line break/ },
    { what: '2: an address that is no URL', args: ['policy', 'list', '--control-plane-addr', 'nowhere'], code: 2, says: /http:\/\// },
    { what: '2: a context that is not there', args: ['policy', 'list', '--context', 'nope'], code: 2, says: /nope.*context add/ },
    { what: '1: a file that is not there', args: ['policy', 'apply', '-f', 'missing.yaml'], code: 1, says: /missing\.yaml.*not there/ },
    { what: '4: no such policy', args: ['policy', 'get', 'gone'], code: 4, says: /gone/ },
    { what: '4: no such policy to describe', args: ['policy', 'describe', 'gone'], code: 4, says: /gone/ },
    { what: '4: no such policy to delete', args: ['policy', 'delete', 'gone', '--yes'], code: 4, says: /gone/ },
    { what: '5: an unknown token', args: ['policy', 'list'], env: { HFI_TOKEN: 'nobodys-token-012345' }, code: 5, says: /HFI_TOKEN/ },
    {
      what: '5: a role that may not',
      args: ['policy', 'delete', 'there', '-y'],
      env: { HFI_TOKEN: TOKENS.viewer },
      code: 5,
      says: /HFI_TOKEN/,
    },
  ];
  for (const { what, args, env, ...row } of rows) {
    it(what, async () => {
      stack.file('bad.yaml', policyText('bad', '{ abort: { httpStatus: 99 } }'));
      assertFailure(await stack.hfi(args, { cwd: stack.processes.folder, ...(env === undefined ? {} : { env }) }), row);
    });
  }

  it('5: no token at all', async () => {
    assertFailure(await hfi(['policy', 'list', '--control-plane-addr', stack.server.url]), { code: 5, says: /HFI_TOKEN/ });
  });
  it('3: no control plane is known', async () => {
    assertFailure(await hfi(['policy', 'list'], { cwd: stack.processes.folder }), { code: 3, says: /npm start.*context add/ });
  });

  it('no token is ever shown', async () => {
    const secret = 'secret-of-mine-0123456789';
    for (const args of [['policy', 'list'], ['policy', 'list', '--timeout', 'x'], ['status'], ['polcy']]) {
      const { stdout, stderr } = await stack.hfi(args, { env: { HFI_TOKEN: secret } });
      assert.ok(!`${stdout}${stderr}`.includes(secret), args.join(' '));
    }
  });
});

describe('hfi: exit code 3, no server', function () {
  this.timeout(60_000);

  /** Runs `policy list` against a server that answers as told, or never. */
  async function against(answer: Parameters<typeof createServer>[1], args: readonly string[] = []): Promise<Ended> {
    const server: Server = createServer({}, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      return await hfi(['policy', 'list', '--control-plane-addr', `http://127.0.0.1:${port}`, ...args], {
        env: { HFI_TOKEN: 'a-token-of-the-test' },
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('nobody listens', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const ended = await hfi(['policy', 'list', '--control-plane-addr', `http://127.0.0.1:${port}`], {
      env: { HFI_TOKEN: 'a-token-of-the-test' },
    });
    assertFailure(ended, { code: 3, says: /ECONNREFUSED.*npm start/ });
  });

  it('it accepts and says nothing: ends after --timeout', async () => {
    const begun = performance.now();
    assertFailure(await against(() => {}, ['--timeout', '300ms']), { code: 3, says: /did not answer within 0\.3 s/ });
    assert.ok(performance.now() - begun < 5000);
  });

  it('it begins to answer and stops: ends after --timeout', async () => {
    const ended = await against(
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"items":[');
      },
      ['--timeout', '300ms'],
    );
    assertFailure(ended, { code: 3, says: /did not answer within 0\.3 s/ });
  });

  it('it hangs up in the middle of its answer: ends at once', async () => {
    const begun = performance.now();
    const ended = await against((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"items":[', () => response.destroy());
    });
    assertFailure(ended, { code: 3, says: /can not be reached/ });
    assert.ok(performance.now() - begun < 5000);
  });

  for (const [what, status, body] of [
    ['a proxy that answers 502 in HTML', 502, '<html>bad gateway</html>'],
    ['something else that answers 200 in HTML', 200, '<html>welcome</html>'],
    ['something else that answers JSON', 200, '{"hello":"world"}'],
  ] as const) {
    it(what, async () => {
      const ended = await against((_request, response) => {
        response.writeHead(status, { 'content-type': 'text/html' }).end(body);
      });
      assertFailure(ended, { code: 3, says: /no HFI control plane/ });
    });
  }

  it('etcd is gone behind the control plane', async () => {
    const stack = await Stack.start();
    try {
      await stack.etcd.kill();
      const file = stack.file('a.yaml', policyText('a'));
      assertFailure(await stack.hfi(['policy', 'apply', '-f', file, '--timeout', '20s']), { code: 3, says: /etcd|store/ });
    } finally {
      await stack.end();
    }
  });
});
