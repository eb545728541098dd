import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KEEP_MS, KnownUsers } from '../../services/control-plane/access/kubernetes/known-users.ts';
import { callerOf, type KubernetesUser, roleBindings } from '../../services/control-plane/access/kubernetes/roles.ts';
import { readTokenReview } from '../../services/control-plane/access/kubernetes/settings.ts';

const TOKEN = 'aaaa.bbbb.cccc';

describe('users of a Kubernetes cluster', () => {
  describe('roles', () => {
    const bindings = roleBindings.parse([
      { user: 'olga', role: 'admin' },
      { group: 'oncall', role: 'editor', namespaces: ['shop'] },
      { group: 'everybody', role: 'viewer' },
      { serviceAccount: 'ci/deployer', role: 'editor', namespaces: 'own' },
      { serviceAccount: 'ci/*', role: 'viewer', namespaces: 'own' },
      { group: 'accounts', role: 'proxy', namespaces: 'own' },
    ]);
    const account = (namespace: string, name: string, groups: string[] = []) => ({
      username: `system:serviceaccount:${namespace}:${name}`,
      groups,
    });
    const rows: [string, KubernetesUser, [string, readonly string[] | undefined] | undefined][] = [
      ['by name', { username: 'olga', groups: ['oncall'] }, ['admin', undefined]],
      ['by group', { username: 'ivo', groups: ['x', 'oncall', 'everybody'] }, ['editor', ['shop']]],
      ['by the first entry that names it', { username: 'ivo', groups: ['everybody', 'oncall'] }, ['editor', ['shop']]],
      ['not at all', { username: 'eve', groups: ['x'] }, undefined],
      ['not by a name that is a group', { username: 'oncall', groups: [] }, undefined],
      ['by its account', account('ci', 'deployer'), ['editor', ['ci']]],
      ['by its namespace', account('ci', 'other'), ['viewer', ['ci']]],
      ['not by an account of that name elsewhere', account('shop', 'deployer'), undefined],
      ['by a group, in its own namespace', account('shop', 'web', ['accounts']), ['proxy', ['shop']]],
      ['not in its own namespace when it has none', { username: 'eve', groups: ['accounts'] }, undefined],
      ['not as an account by a name that only looks like one', { username: 'system:serviceaccount:ci:deployer:x', groups: [] }, undefined],
    ];
    for (const [how, user, expected] of rows) {
      it(`are given ${how}`, () => {
        const caller = callerOf(user, bindings);
        assert.deepEqual(caller === undefined ? undefined : [caller.role, caller.namespaces], expected);
        if (caller !== undefined) assert.equal(caller.name, `kubernetes:${user.username}`);
      });
    }
  });

  describe('answers', () => {
    let now = 0;
    let asked = 0;
    let answer: () => Promise<KubernetesUser | undefined>;
    let users: KnownUsers;
    let left: number;

    beforeEach(() => {
      now = 0;
      asked = 0;
      left = 100;
      answer = async () => ({ username: 'olga', groups: [] });
      users = new KnownUsers({
        review: () => {
          asked++;
          return answer();
        },
        clock: { now: () => now, elapsed: () => now },
        take: () => {
          if (left-- <= 0) throw new Error('too many');
        },
      });
    });

    it('are kept for ten seconds and no longer', async () => {
      await users.find(TOKEN);
      now = KEEP_MS - 1;
      await users.find(TOKEN);
      assert.equal(asked, 1);
      now = KEEP_MS;
      answer = async () => undefined;
      assert.equal(await users.find(TOKEN), undefined);
      assert.equal(asked, 2);
    });

    it('that refuse are kept for two', async () => {
      answer = async () => undefined;
      await users.find(TOKEN);
      now = 1999;
      await users.find(TOKEN);
      assert.equal(asked, 1);
      now = 2000;
      await users.find(TOKEN);
      assert.equal(asked, 2);
    });

    it('that failed are not kept', async () => {
      answer = async () => {
        throw new Error('down');
      };
      await assert.rejects(users.find(TOKEN), /down/);
      answer = async () => ({ username: 'olga', groups: [] });
      assert.equal((await users.find(TOKEN))?.username, 'olga');
    });

    it('are asked for no more often than may be, and known ones cost nothing', async () => {
      left = 2;
      await users.find(TOKEN);
      await users.find('aaaa.bbbb.dddd');
      await assert.rejects(users.find('aaaa.bbbb.eeee'), /too many/);
      assert.equal((await users.find(TOKEN))?.username, 'olga');
      assert.equal(asked, 2);
    });
  });

  describe('settings', () => {
    let folder: string;
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'hfi-review-'));
    });
    after(() => rmSync(folder, { recursive: true }));
    const read = (roles: string, more: Record<string, string> = {}) => {
      const file = join(folder, 'roles.yaml');
      writeFileSync(file, roles);
      return readTokenReview({ HFI_TOKEN_REVIEW: 'on', HFI_TOKEN_REVIEW_ROLES_FILE: file, KUBERNETES_SERVICE_HOST: '10.0.0.1', ...more });
    };

    it('are off unless asked for', () => assert.equal(readTokenReview({}), undefined));

    it('are those of the pod', () => {
      const config = read('[{ user: olga, role: admin }]', { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' });
      assert.deepEqual(config?.api, {
        url: 'https://[fd00::1]:6443',
        caFile: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
        tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      });
      assert.deepEqual(config?.audiences, ['hfi']);
    });

    const refused: [string, string, RegExp][] = [
      ['no list', '{}', /HFI_TOKEN_REVIEW_ROLES_FILE: .*expected array/],
      ['an empty list', '[]', /needs at least one entry/],
      ['an entry for nobody', '[{ role: admin }]', /\[0\] needs exactly one of user, group and serviceAccount/],
      ['an entry for two', '[{ user: a, group: b, role: admin }]', /\[0\] needs exactly one of/],
      ['a role that is none', '[{ user: a, role: root }]', /\[0\]\.role/],
      ['an own namespace of a user', '[{ user: a, role: viewer, namespaces: own }]', /\[0\]\.namespaces own is for service accounts/],
      ['an account without a namespace', '[{ serviceAccount: a, role: viewer }]', /\[0\]\.serviceAccount must be namespace\/name/],
      ['a star for a namespace', "[{ user: a, role: viewer, namespaces: ['*'] }]", /\[0\]\.namespaces/],
      ['what is no YAML', '[{', /can not be read/],
    ];
    for (const [what, roles, message] of refused) it(`refuse ${what}`, () => assert.throws(() => read(roles), message));

    it('need a pod or an address', () => assert.throws(() => readTokenReview({ HFI_TOKEN_REVIEW: 'on' }), /set HFI_KUBERNETES_URL/));
    it('need roles', () =>
      assert.throws(
        () => readTokenReview({ HFI_TOKEN_REVIEW: 'on', KUBERNETES_SERVICE_HOST: 'x' }),
        /HFI_TOKEN_REVIEW_ROLES_FILE is not set/,
      ));
  });
});
