import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateFiles, writeCertificates } from '../support/certificates.ts';
import { Replica, type Reply } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes } from '../support/processes.ts';
import { type Reviewed, TokenReviewServer } from '../support/token-review-server.ts';

/** A token as Kubernetes makes them, as far as anybody but Kubernetes can tell. */
const jwt = (name: string) => `eyJhbGciOiJSUzI1NiJ9.${Buffer.from(name).toString('base64url')}.c2lnbmF0dXJl`;

const HFI = { audiences: ['hfi'] };
const USERS: ReadonlyMap<string, Reviewed> = new Map([
  [jwt('olga'), { username: 'olga@example', groups: ['oncall', 'system:authenticated'], ...HFI }],
  [jwt('admin'), { username: 'root@example', ...HFI }],
  [jwt('stranger'), { username: 'stranger@example', groups: ['system:authenticated'], ...HFI }],
  [jwt('frontend'), { username: 'system:serviceaccount:demo:frontend', groups: ['system:serviceaccounts'], ...HFI }],
  [jwt('for-vault'), { username: 'olga@example', groups: ['oncall'], audiences: ['vault'] }],
  [jwt('no-audiences'), { username: 'olga@example', groups: ['oncall'], audiences: null }],
]);
const ROLES = `
- { user: root@example, role: admin }
- { group: oncall, role: editor, namespaces: [shop] }
- { serviceAccount: '*/*', role: proxy, namespaces: own }
`;

describe('API: tokens of a Kubernetes cluster (its API server is a stand-in that speaks TokenReview alone)', function () {
  this.timeout(60_000);
  let processes: Processes;
  let certificates: CertificateFiles;
  let kubernetes: TokenReviewServer;
  let replica: Replica;

  before(async () => {
    processes = await Processes.begin();
    certificates = (await writeCertificates(processes.folder)).server;
    kubernetes = await TokenReviewServer.start(certificates, 'own-1', USERS);
    const file = (name: string, text: string) => {
      const path = join(processes.folder, name);
      writeFileSync(path, text);
      return path;
    };
    replica = await Replica.start(processes, (await Etcd.start(processes)).url, {
      env: {
        HFI_TOKEN_REVIEW: 'on',
        HFI_TOKEN_REVIEW_ROLES_FILE: file('roles.yaml', ROLES),
        HFI_KUBERNETES_URL: kubernetes.url,
        HFI_KUBERNETES_CA_FILE: certificates.ca,
        HFI_KUBERNETES_TOKEN_FILE: file('own-token', 'own-1\n'),
      },
    });
  });
  after(async () => {
    await processes.end();
    await kubernetes.stop();
  });

  const ask = (
    token: string,
    method: string,
    path: string,
    more: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Reply> => replica.ask(method, path, { role: 'none', ...more, headers: { authorization: `Bearer ${token}`, ...more.headers } });
  const policy = (namespace: string) => ({
    metadata: { name: `of-${namespace}` },
    spec: { selector: { namespace }, rules: [{ fault: { abort: { httpStatus: 503 } } }] },
  });

  it('a person gets the role and the namespaces of their group, and the audit names them', async () => {
    assert.equal((await ask(jwt('olga'), 'POST', '/v1/policies', { body: policy('shop') })).status, 201);
    const refused = await ask(jwt('olga'), 'POST', '/v1/policies', { body: policy('demo') });
    assert.deepEqual([refused.status, refused.body.detail], [403, 'The token is for namespace shop; spec.selector.namespace is "demo".']);
    const { items } = (await replica.ask('GET', '/v1/audit?limit=1')).body as { items: { actor: unknown }[] };
    assert.deepEqual(items[0]?.actor, { name: 'kubernetes:olga@example', role: 'editor' });
  });

  it('an entry for one user gives that one an admin', async () => {
    assert.equal((await ask(jwt('admin'), 'GET', '/v1/tokens')).status, 200);
  });

  it('a service account is a proxy of its own namespace, and of that alone', async () => {
    const poll = (namespace: string) =>
      ask(jwt('frontend'), 'GET', '/v1/ruleset', { headers: { 'x-hfi-proxy': 'p', 'x-hfi-namespace': namespace } });
    assert.equal((await poll('demo')).status, 200);
    assert.equal((await poll('shop')).status, 403);
    assert.equal((await ask(jwt('frontend'), 'GET', '/v1/policies')).status, 403);
  });

  it('who is known and has no role is told so', async () => {
    const reply = await ask(jwt('stranger'), 'GET', '/v1/policies');
    assert.deepEqual([reply.status, reply.body.detail], [403, 'The Kubernetes user "stranger@example" has no role here.']);
  });

  for (const [what, token] of [
    ['that Kubernetes does not know', jwt('nobody')],
    ['that was made for another audience', jwt('for-vault')],
    ['of a server that knows nothing of audiences', jwt('no-audiences')],
  ] as const) {
    it(`a token ${what} is unknown`, async () => {
      const reply = await ask(token, 'GET', '/v1/policies');
      assert.deepEqual([reply.status, reply.body.detail], [401, 'The token is not known here.']);
    });
  }

  it('many requests at once with one token are one question', async () => {
    const token = jwt('asked-once');
    const replies = await Promise.all(Array.from({ length: 50 }, () => ask(token, 'GET', '/v1/policies')));
    assert.ok(replies.every(({ status }) => status === 401));
    assert.equal(kubernetes.asked.filter((one) => one === token).length, 1);
  });

  it('what is no token of Kubernetes never leaves the control plane', async () => {
    const before = kubernetes.asked.length;
    for (const token of ['wrong-token-wrong-token', `hfi_ci_${'x'.repeat(43)}`, 'a.b', `${'a'.repeat(12_001)}.bbbb.cccc`]) {
      assert.equal((await ask(token, 'GET', '/v1/policies')).status, 401);
    }
    await replica.ask('GET', '/v1/policies');
    assert.equal(kubernetes.asked.length, before);
  });

  it('the control plane reads its own token anew', async () => {
    kubernetes.ownToken = 'own-2';
    const refused = await ask(jwt('later'), 'GET', '/v1/policies');
    assert.deepEqual([refused.status, refused.body.code], [503, 'identity-unavailable']);
    assert.equal(refused.body.detail, 'Your token can not be checked: the Kubernetes API server answered 401.');
    writeFileSync(join(processes.folder, 'own-token'), 'own-2\n');
    assert.equal((await ask(jwt('later'), 'GET', '/v1/policies')).status, 401);
  });

  it('writes no token into its log', () => {
    assert.ok(!replica.log.includes('eyJhbGci') && !replica.log.includes('own-1'));
  });

  it('without the API server who was known stays so for seconds, nobody else is let in, and the tokens file holds', async () => {
    await ask(jwt('olga'), 'GET', '/v1/policies');
    await kubernetes.stop();
    assert.equal((await ask(jwt('olga'), 'GET', '/v1/policies')).status, 200);
    const unknown = await ask(jwt('new'), 'GET', '/v1/policies');
    assert.deepEqual([unknown.status, unknown.body.code], [503, 'identity-unavailable']);
    assert.ok(Number(unknown.headers.get('retry-after')) >= 1);
    assert.equal((await replica.ask('GET', '/v1/policies')).status, 200);
  });
});
