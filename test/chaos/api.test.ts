import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Replica, type Role, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';
import { FORM } from './form.ts';
import { schemathesis } from './schemathesis/set-up.ts';

/** What every answer is judged by: no 5xx, and its status, content type, headers and body as the document says. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
  'allow_header_conformance',
];
/** Streams have no end; what a replica without etcd answers is tested elsewhere. */
const LEFT_OUT = ['/v1/events'];
const HALT = '/v1/halt';

const SPEC = { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] };

describe('chaos: requests drawn from the OpenAPI document', function () {
  this.timeout(60_000 + FORM.requestsPerOperation * 20_000);
  let processes: Processes;
  let program: string;

  before(async () => {
    processes = await Processes.begin();
    program = schemathesis();
  });
  after(() => processes?.end());

  async function run(role: Role | 'none', phases: string, what: readonly string[]): Promise<void> {
    const etcd = await Etcd.start(processes);
    const replica = await Replica.start(processes, etcd.url, { replica: role, env: { HFI_LOG_LEVEL: 'error' } });
    for (const name of ['there', 'also-there']) assert.equal((await replica.put(name, { ...SPEC, lease: '1h' })).status, 201);
    const { code, said } = await drawn(program, processes.folder, [
      ...[`${replica.url}/openapi.json`, '--checks', CHECKS.join(), '--phases', phases],
      ...['--max-examples', String(FORM.requestsPerOperation), '--no-shrink', '--continue-on-failure', '--request-timeout', '10'],
      // How hard it is to draw a policy says nothing about the API.
      ...['--suppress-health-check', 'all', ...FORM.seed],
      ...(role === 'none' ? [] : ['--header', `Authorization: Bearer ${TOKENS[role]}`]),
      ...what,
    ]);
    const cases = Number(/(\d+) generated/.exec(said)?.[1]);
    process.stdout.write(`    ${cases} requests\n`);
    assert.equal(code, 0, said.slice(said.search(/=+ (ERRORS|FAILURES) =+/)));
    assert.ok(cases > 40, `${cases} requests`);
    assert.equal(replica.log, '', 'nothing went wrong inside');
    await Promise.all([replica.kill(), etcd.kill()]);
  }

  const without = [...LEFT_OUT, HALT].flatMap((path) => ['--exclude-path', path]);
  for (const role of ['admin', 'viewer', 'proxy', 'none'] as const) {
    it(`by ${role === 'none' ? 'nobody' : `a token of role ${role}`} are answered as it says, and never with 5xx`, () =>
      run(role, role === 'admin' ? FORM.thoroughly : FORM.briefly, without));
  }

  // After which nothing can be applied.
  it('that halt and resume are answered as it says, and never with 5xx', () => run('admin', FORM.thoroughly, ['--include-path', HALT]));
});

function drawn(program: string, cwd: string, args: readonly string[]): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['run', ...args], {
      cwd,
      env: { ...process.env, SCHEMATHESIS_HOOKS: join(import.meta.dirname, 'schemathesis', 'hooks.py'), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        said += bytes.toString();
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}
