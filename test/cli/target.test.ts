import assert from 'node:assert/strict';
import { chmodSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Processes } from '../support/processes.ts';
import { hfi } from './hfi.ts';

/** Whom a command speaks to, and with which token: what is typed, then variables, then the context. */
describe('hfi: control plane and token', () => {
  let processes: Processes;
  let config: string;
  /** Two servers that only note the tokens they are sent: a list of policies asks for those and for what is halted. */
  const servers: { server: Server; url: string; tokens: string[] }[] = [];

  before(async () => {
    processes = await Processes.begin();
    config = join(processes.folder, 'config.json');
    for (let i = 0; i < 2; i++) {
      const tokens: string[] = [];
      const server = createServer((request, response) => {
        tokens.push(String(request.headers.authorization).replace('Bearer ', ''));
        response
          .writeHead(200, { 'content-type': 'application/json', 'hfi-control-plane': '0' })
          .end('{"items":[],"halts":[],"nextCursor":null}');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push({ server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, tokens });
    }
    const [first] = servers;
    const { code, stderr } = await hfi(['context', 'add', 'mine', '--url', first?.url ?? ''], {
      env: { HFI_CONFIG: config, HFI_TOKEN: 'of-context' },
    });
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    for (const { server } of servers) server.close();
    await processes.end();
  });

  const [FIRST, SECOND] = [0, 1];
  const url = (which: number): string => servers[which]?.url ?? '';
  const rows: { what: string; args: () => string[]; env: () => Record<string, string>; at: number; token: string }[] = [
    { what: 'the context alone', args: () => [], env: () => ({}), at: FIRST, token: 'of-context' },
    { what: 'a token in a variable', args: () => [], env: () => ({ HFI_TOKEN: 'of-env' }), at: FIRST, token: 'of-env' },
    {
      what: 'an address in a variable wins over the current context',
      args: () => [],
      env: () => ({ HFI_CONTROL_PLANE_ADDR: url(SECOND), HFI_TOKEN: 'of-env' }),
      at: SECOND,
      token: 'of-env',
    },
    {
      what: 'a typed address wins over a variable',
      args: () => ['--control-plane-addr', url(SECOND), '--token', 'typed'],
      env: () => ({ HFI_CONTROL_PLANE_ADDR: url(FIRST), HFI_TOKEN: 'of-env' }),
      at: SECOND,
      token: 'typed',
    },
    {
      what: 'a typed context wins over both variables',
      args: () => ['--context', 'mine'],
      env: () => ({ HFI_CONTROL_PLANE_ADDR: url(SECOND), HFI_TOKEN: 'of-env' }),
      at: FIRST,
      token: 'of-context',
    },
  ];
  for (const { what, args, env, at, token } of rows) {
    it(what, async () => {
      for (const { tokens } of servers) tokens.length = 0;
      const { code, stderr } = await hfi(['policy', 'list', ...args()], { env: { HFI_CONFIG: config, ...env() } });
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        servers.map(({ tokens }) => tokens),
        [FIRST, SECOND].map((which) => (which === at ? [token, token] : [])),
      );
    });
  }

  it("a context's token is never sent to another address", async () => {
    for (const { tokens } of servers) tokens.length = 0;
    const { code, stderr } = await hfi(['policy', 'list', '--control-plane-addr', url(SECOND)], { env: { HFI_CONFIG: config } });
    assert.equal(code, 5);
    assert.match(stderr, /HFI_TOKEN/);
    assert.deepEqual(servers[SECOND]?.tokens, []);
  });

  it('contexts are kept for this user alone, and not read when others can', async () => {
    assert.equal(statSync(config).mode & 0o777, 0o600);
    chmodSync(config, 0o640);
    const { code, stdout, stderr } = await hfi(['context', 'list'], { env: { HFI_CONFIG: config } });
    chmodSync(config, 0o600);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.ok(stderr.includes(`chmod 600 ${config}`), stderr);
  });
});
