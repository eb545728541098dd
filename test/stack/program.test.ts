import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { buildBundle } from '../../build/bundle.ts';
import { OUTPUTS } from '../../build/docs/stack.ts';
import { tokensFile } from '../../components/control-plane.ts';
import { MADE, type Program, type Registered, runProgram, settled } from './program.ts';

const ROOT = new URL('../../', import.meta.url);
const json = (config: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(config).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]));

/** What the engine marks a secret with. */
const SECRET_MARK = '4dabf18193072939515e22adb298388d';

/** An input with its secrets taken out, and what they said. */
function plain(value: unknown, secrets: string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (SECRET_MARK in value) {
    secrets.push(JSON.stringify((value as unknown as { value: unknown }).value));
    return '[secret]';
  }
  if (Array.isArray(value)) return value.map((part) => plain(part, secrets));
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part, secrets)]));
}

describe('the stack', function () {
  this.timeout(30_000);
  let program: Program;
  const find = (type: string, name: string, { registered } = program): Registered => {
    const found = registered.find((one) => one.type === type && one.name === name);
    assert.ok(found !== undefined, `${type} ${name}`);
    return found;
  };
  const names = ({ registered }: Program, type: RegExp) =>
    registered
      .filter((one) => type.test(one.type))
      .map(({ name }) => name)
      .sort();

  before(async () => {
    program = await runProgram({});
  });

  it('consists of these components', () => {
    assert.deepEqual(names(program, /^hfi:index:/), [
      'bundle',
      'control-plane',
      'demo',
      'demo-app',
      'demo-bundle',
      'etcd',
      'etcd-upkeep',
      'hfi',
      'mesh-filter',
      'monitoring',
      'network',
      'system',
      'wasm-server',
    ]);
  });

  it('gives each resource a name of its own among those of its type', () => {
    const all = program.registered.map(({ type, name }) => `${type} ${name}`);
    assert.deepEqual(
      all.filter((one, i) => all.indexOf(one) !== i),
      [],
    );
  });

  it('has the outputs that the reference lists, and no others; those are secret of which it says so', async () => {
    const isSecret = async (output: unknown) =>
      typeof output === 'object' && output !== null && 'isSecret' in output && (await output.isSecret) === true;
    const actual = await Promise.all(Object.entries(program.exports).map(async ([name, output]) => [name, await isSecret(output)]));
    assert.deepEqual(
      actual.sort(),
      Object.entries(OUTPUTS)
        .map(([name, { secret }]) => [name, secret])
        .sort(),
    );
  });

  it('has the outputs that hfi needs', async () => {
    const { exports } = program;
    assert.deepEqual(exports.namespaces, { system: 'boifi', mesh: ['demo'], demo: 'demo' });
    assert.equal(await settled(exports.controlPlaneEndpoint as never), 'http://hfi-control-plane.boifi.svc.cluster.local:8080');
    assert.deepEqual(await settled(exports.etcdEndpoints as never), ['https://hfi-etcd.boifi.svc:2379']);
    assert.equal(exports.version, JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')).version);
    const module = readFileSync(new URL('dist/filter/plugin.wasm', ROOT));
    assert.equal(exports.wasmSha256, createHash('sha256').update(module).digest('hex'));
    assert.equal(
      await settled(exports.wasmUrl as never),
      `http://wasm-server.boifi.svc.cluster.local:8080/${String(exports.wasmSha256)}/plugin.wasm`,
    );
  });

  it('keeps every token and key a secret, in outputs and inputs', async () => {
    for (const name of ['apiToken', 'tokens', 'auditKey']) {
      const output = program.exports[name] as { isSecret: Promise<boolean> };
      assert.equal(await output.isSecret, true, name);
    }
    const secrets: string[] = [];
    for (const { type, name, inputs } of program.registered) {
      assert.doesNotMatch(JSON.stringify(plain(inputs, secrets)), /SECRET-/, `${type} ${name}`);
    }
    for (const text of ['SECRET-proxy-now', 'SECRET-admin-now', 'SECRET-server-key', 'SECRET-client-key', 'SECRET-audit-key']) {
      assert.ok(
        secrets.some((secret) => secret.includes(text)),
        text,
      );
    }
    assert.ok(!secrets.some((secret) => secret.includes('SECRET-authority-key')), 'the authority signs, and is nowhere else');
  });

  it('knows the tokens of the last rotation beside the new ones, and each once when there was none', () => {
    const file: { role: string; token: string }[] = JSON.parse(tokensFile(MADE.tokens as never, []));
    assert.deepEqual(
      file.filter(({ role }) => role === 'proxy').map(({ token }) => token),
      ['SECRET-proxy-now', 'SECRET-proxy-before'],
    );
    const fresh = Object.fromEntries(Object.keys(MADE.tokens).map((role) => [role, { current: role, previous: role }]));
    assert.equal(JSON.parse(tokensFile(fresh as never, [])).length, 4);
  });

  it('makes the filter fail open, with a hash in its address, and never in the system namespace', async () => {
    const config = json({ 'hfi:mesh': { namespaces: ['shop', 'pay'] } });
    const more = await runProgram(config);
    const plugins = more.registered.filter(({ inputs }) => inputs.kind === 'WasmPlugin').map(({ inputs }) => inputs);
    assert.deepEqual(plugins.map(({ metadata }) => metadata.namespace).sort(), ['demo', 'pay', 'shop']);
    for (const { spec } of plugins) {
      const { failStrategy, phase, url, sha256, pluginConfig } = spec.value ?? spec;
      assert.deepEqual([failStrategy, phase], ['FAIL_OPEN', 'AUTHN']);
      assert.ok(url.includes(sha256));
      assert.equal(pluginConfig.cluster, 'outbound|8080||hfi-control-plane.boifi.svc.cluster.local');
    }
  });

  it('has three members that know one another, when asked', async () => {
    const three = await runProgram(json({ 'hfi:etcd': { members: 3 } }));
    const { spec } = find('kubernetes:apps/v1:StatefulSet', 'hfi-etcd', three).inputs;
    assert.equal(spec.replicas, 3);
    const flags: string[] = spec.template.spec.containers[0].command;
    const cluster = flags.find((flag) => flag.startsWith('--initial-cluster='));
    assert.match(cluster ?? '', /hfi-etcd-0=https:\/\/hfi-etcd-0\.hfi-etcd-peers\.boifi\.svc:2380,.*hfi-etcd-2=/);
    const wanted = find('pulumi-nodejs:dynamic:Resource', 'credentials', three).inputs.etcdNames;
    for (const member of [0, 1, 2]) assert.ok(wanted.includes(`hfi-etcd-${member}.hfi-etcd-peers.boifi.svc`));
  });

  it('makes no etcd when there is one', async () => {
    const external = { endpoints: ['https://etcd.example:2379'], secret: 'mine', login: 'password' };
    const other = await runProgram(json({ 'hfi:etcd': { external } }));
    assert.deepEqual(names(other, /StatefulSet/), []);
    const [container] = find('kubernetes:apps/v1:Deployment', 'hfi-control-plane', other).inputs.spec.template.spec.containers;
    const env = new Map(container.env.map((one: { name: string; value: string }) => [one.name, one.value]));
    assert.equal(env.get('HFI_ETCD_ENDPOINTS'), 'https://etcd.example:2379');
    assert.ok(env.has('HFI_ETCD_PASSWORD') && !env.has('HFI_ETCD_CERT_FILE'));
  });

  it('makes the demo and what watches HFI as asked', async () => {
    const bare = await runProgram(json({ 'hfi:demo': { enabled: false }, 'hfi:mesh': { namespaces: ['shop'] } }));
    assert.deepEqual(names(bare, /Namespace$/), ['system', 'system']);
    assert.deepEqual(names(bare, /PodMonitor|PrometheusRule/), []);
    const watched = await runProgram(json({ 'hfi:monitoring': { enabled: true, labels: { release: 'stack' } } }));
    assert.deepEqual(names(watched, /PodMonitor/), ['hfi-control-plane', 'hfi-etcd', 'hfi-sidecars']);
    for (const { inputs } of watched.registered.filter(({ type }) => /PodMonitor|PrometheusRule/.test(type))) {
      assert.equal(inputs.metadata.labels.release, 'stack');
    }
    for (const program of [bare, watched]) {
      const map = find('kubernetes:core/v1:ConfigMap', 'hfi-dashboard', program);
      assert.equal(JSON.parse(map.inputs.data['hfi.json']).uid, 'hfi');
    }
    const unwatched = await runProgram(json({ 'hfi:monitoring': { enabled: false } }));
    assert.deepEqual(names(unwatched, /PodMonitor|PrometheusRule/), []);
    assert.ok(!names(unwatched, /ConfigMap/).includes('hfi-dashboard'));
  });

  it('takes a prebuilt image, and every image from the mirror', async () => {
    const own = await runProgram(
      json({ 'hfi:controlPlane': { image: 'registry.example/hfi:1' }, 'hfi:images': { mirror: 'mirror.example/x' } }),
    );
    const { spec } = find('kubernetes:apps/v1:Deployment', 'hfi-control-plane', own).inputs.spec.template;
    assert.equal(spec.containers[0].image, 'registry.example/hfi:1');
    assert.equal(spec.initContainers, undefined);
    const etcd = find('kubernetes:apps/v1:StatefulSet', 'hfi-etcd', own).inputs.spec.template.spec.containers[0].image;
    assert.match(etcd, /^mirror\.example\/x\/etcd:3\./);
  });

  it('refuses a wrong configuration before anything else', async () => {
    await assert.rejects(runProgram(json({ 'hfi:mesh': { lease: '1s' } })), /hfi:mesh\.lease: must be a duration from 5s to 1h/);
  });

  for (const stack of ['dev', 'prod']) {
    it(`runs with the stack ${stack} as it is committed`, async () => {
      const { config } = parse(readFileSync(new URL(`Pulumi.${stack}.yaml`, ROOT), 'utf8'));
      const { exports } = await runProgram(json(config));
      assert.equal((exports.namespaces as { system: string }).system, 'boifi');
    });
  }

  it('is run by Node itself, without ts-node', () => {
    const project = parse(readFileSync(new URL('Pulumi.yaml', ROOT), 'utf8'));
    assert.equal(project.name, 'hfi');
    assert.equal(project.runtime.name, 'nodejs');
    assert.equal(project.runtime.options.typescript, false);
  });

  it('bundles the same programs to the same bytes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hfi-bundle-test-'));
    try {
      const [one, two] = await Promise.all(['a', 'b'].map(async (name) => readFileSync(await buildBundle(join(folder, name)))));
      assert.deepEqual(one, two);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
