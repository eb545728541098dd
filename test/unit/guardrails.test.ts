import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../services/control-plane/environment.ts';
import { chosenOf } from '../../services/control-plane/guardrails/choose.ts';
import { Guard } from '../../services/control-plane/guardrails/guard.ts';
import { readGuardrails } from '../../services/control-plane/guardrails/settings.ts';
import { type Violation, violations } from '../../services/control-plane/guardrails/violations.ts';
import { type Guardrails, guardrails } from '../../services/policy/guardrails.ts';
import { type Policy, type PolicyInput, policy } from '../../services/policy/schema.ts';

/** A Wednesday. */
const NOW = Date.UTC(2026, 6, 1, 10, 0, 0);
const abort = { abort: { httpStatus: 503 } };
const rails = (of: object): Guardrails => guardrails.parse({ requireEnd: false, ...of });
const made = (spec: Partial<PolicyInput['spec']>): Policy =>
  policy.parse({ metadata: { name: 'p' }, spec: { selector: { namespace: 'shop' }, rules: [{ fault: abort }], ...spec } });
const rule = (fault: object, match?: object): Policy =>
  made({ rules: [{ fault: { ...abort, ...fault }, ...(match === undefined ? {} : { match }) }] } as Partial<PolicyInput['spec']>);
const at = (minutes: number): string => new Date(NOW + minutes * 60_000).toISOString();
const proxies = (count: number, services = 1) =>
  Array.from({ length: count }, (_, i) => ({
    name: `proxy-${String(i).padStart(3, '0')}`,
    namespace: 'shop',
    service: `s${i % services}`,
  }));

const DAYTIME = { hours: [{ days: ['wed'], from: '09:00', to: '11:00', zone: 'UTC' }] };
const PATHS = {
  forbiddenPaths: ['/healthz', { prefix: '/internal/' }, { regex: '/v[0-9]+/health' }, { exact: '/Ready', ignoreCase: true }],
};

describe('guardrails', () => {
  /** What is set, what is applied, and, if it goes beyond: field, value, limit and words. */
  type Row = readonly [
    what: string,
    set: object,
    policy: Policy,
    ...wrong: readonly (readonly [guardrail: string, field: string, value: unknown, limit: unknown, message: string])[],
  ];
  const NONE_MESSAGE = 'is kube-system, a namespace of the system, which is never faulted unless the guardrail namespaces names it';
  const rows: readonly Row[] = [
    ['nothing is set', {}, rule({})],
    ['a share at the limit', { maxPercentage: 50 }, rule({ percentage: 50 })],
    [
      'a share just above it',
      { maxPercentage: 50 },
      rule({ percentage: 50.0001 }),
      ['maxPercentage', 'spec.rules[0].fault.percentage', 50.0001, 50, 'is 50.0001; the guardrail maxPercentage allows 50'],
    ],
    [
      'a share that is not said, which is all',
      { maxPercentage: 99.9999 },
      rule({}),
      ['maxPercentage', 'spec.rules[0].fault.percentage', 100, 99.9999, 'is 100; the guardrail maxPercentage allows 99.9999'],
    ],
    ['a ramp up to the limit', { maxPercentage: 50 }, rule({ percentage: { ramp: { from: 0, to: 50, over: '1m' } } })],
    [
      'a ramp beyond it',
      { maxPercentage: 50 },
      rule({ percentage: { ramp: { from: 60, to: 51, over: '1m' } } }),
      ['maxPercentage', 'spec.rules[0].fault.percentage.ramp.from', 60, 50, 'is 60; the guardrail maxPercentage allows 50'],
      ['maxPercentage', 'spec.rules[0].fault.percentage.ramp.to', 51, 50, 'is 51; the guardrail maxPercentage allows 50'],
    ],
    ['a life at the limit', { maxDuration: '10m' }, rule({ duration_seconds: 600 })],
    [
      'a life a second longer',
      { maxDuration: '10m' },
      rule({ duration_seconds: 601 }),
      [
        'maxDuration',
        'spec.rules[0].fault.duration_seconds',
        601,
        '10m',
        'leaves the rule in force for 601 s; the guardrail maxDuration allows 10m',
      ],
    ],
    ['a life that a window ends', { maxDuration: '10m' }, rule({}, { window: { end: at(10) } })],
    ['a window of the longest life that begins later', { maxDuration: '10m' }, rule({}, { window: { start: at(60), end: at(70) } })],
    [
      'a window that is a millisecond too long',
      { maxDuration: '10m' },
      rule({}, { window: { start: at(60), end: new Date(NOW + 70 * 60_000 + 1).toISOString() } }),
      [
        'maxDuration',
        'spec.rules[0].match.window.end',
        600.001,
        '10m',
        'leaves the rule in force for 600.001 s; the guardrail maxDuration allows 10m',
      ],
    ],
    [
      'no end, where a life has a limit',
      { maxDuration: '720h', requireEnd: true },
      rule({}),
      [
        'maxDuration',
        'spec.rules[0].fault.duration_seconds',
        'no end',
        '720h',
        'gives the rule no end; the guardrail maxDuration allows 720h',
      ],
    ],
    [
      'no end, where one is wanted',
      { requireEnd: true },
      rule({}),
      [
        'requireEnd',
        'spec.rules[0].fault.duration_seconds',
        'no end',
        'an end',
        'gives the rule no end; the guardrail requireEnd wants one, or a spec.lease',
      ],
    ],
    ['an end by duration', { requireEnd: true }, rule({ duration_seconds: 1 })],
    ['an end by the lease of its owner', { requireEnd: true }, made({ lease: '30s', rules: [{ fault: abort }] })],
    ['an end by a window', { requireEnd: true }, rule({}, { window: { end: at(1) } })],
    [
      'the rule that is wrong among those that are not',
      { requireEnd: true },
      made({ rules: [{ fault: { ...abort, duration_seconds: 5 } }, { fault: abort }, { fault: { ...abort, duration_seconds: 5 } }] }),
      [
        'requireEnd',
        'spec.rules[1].fault.duration_seconds',
        'no end',
        'an end',
        'gives the rule no end; the guardrail requireEnd wants one, or a spec.lease',
      ],
    ],
    ['an end with the hours', DAYTIME, rule({ duration_seconds: 3600 })],
    [
      'an end a second after the hours',
      DAYTIME,
      rule({ duration_seconds: 3601 }),
      [
        'hours',
        'spec.rules[0].fault.duration_seconds',
        'wed 11:00 UTC',
        'wed 09:00-11:00 UTC',
        'lets the rule end at wed 11:00 UTC; the guardrail hours allows wed 09:00-11:00 UTC',
      ],
    ],
    [
      'no end, where there are hours',
      DAYTIME,
      rule({}),
      [
        'hours',
        'spec.rules[0].fault.duration_seconds',
        'no end',
        'wed 09:00-11:00 UTC',
        'gives the rule no end; the guardrail hours allows wed 09:00-11:00 UTC',
      ],
    ],
    [
      'an apply after hours',
      { hours: [{ days: ['thu'], zone: 'UTC' }] },
      rule({ duration_seconds: 1 }),
      [
        'hours',
        'spec.rules[0]',
        'wed 10:00 UTC',
        'thu 00:00-24:00 UTC',
        'would begin at wed 10:00 UTC; the guardrail hours allows thu 00:00-24:00 UTC',
      ],
    ],
    ['a window in hours that come', { hours: [{ days: ['thu'] }] }, rule({}, { window: { start: at(24 * 60), end: at(25 * 60) } })],
    [
      'a window that begins after hours',
      DAYTIME,
      rule({}, { window: { start: at(60), end: at(61) } }),
      [
        'hours',
        'spec.rules[0].match.window.start',
        'wed 11:00 UTC',
        'wed 09:00-11:00 UTC',
        'would begin at wed 11:00 UTC; the guardrail hours allows wed 09:00-11:00 UTC',
      ],
    ],
    ['no end, where the hours are all there are', { hours: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }] }, rule({})],
    ['a rule for everything beside forbidden paths', PATHS, rule({})],
    ['a path that only begins like a forbidden one', PATHS, rule({}, { path: { exact: '/healthz/x' } })],
    ['a prefix that a forbidden one is part of', PATHS, rule({}, { path: { prefix: '/internal' } })],
    [
      'a forbidden path, asked for',
      PATHS,
      rule({}, { path: { exact: '/healthz' } }),
      [
        'forbiddenPaths',
        'spec.rules[0].match.path.exact',
        '/healthz',
        '/healthz',
        'asks for nothing but /healthz; the guardrail forbiddenPaths allows nothing of /healthz',
      ],
    ],
    [
      'a path below a forbidden prefix',
      PATHS,
      rule({}, { path: { prefix: '/internal/x' } }),
      [
        'forbiddenPaths',
        'spec.rules[0].match.path.prefix',
        '/internal/x',
        '/internal/*',
        'asks for nothing but /internal/x; the guardrail forbiddenPaths allows nothing of /internal/*',
      ],
    ],
    [
      'a path that a forbidden expression matches',
      PATHS,
      rule({}, { path: { exact: '/v12/health' } }),
      [
        'forbiddenPaths',
        'spec.rules[0].match.path.exact',
        '/v12/health',
        'regex /v[0-9]+/health',
        'asks for nothing but /v12/health; the guardrail forbiddenPaths allows nothing of regex /v[0-9]+/health',
      ],
    ],
    [
      'a forbidden path in other letters',
      PATHS,
      rule({}, { path: { exact: '/rEADY' } }),
      [
        'forbiddenPaths',
        'spec.rules[0].match.path.exact',
        '/rEADY',
        '/Ready in any case',
        'asks for nothing but /rEADY; the guardrail forbiddenPaths allows nothing of /Ready in any case',
      ],
    ],
    ['a namespace that is named', { namespaces: { shop: {} } }, rule({})],
    [
      'one that is not',
      { namespaces: { pay: {}, demo: {} } },
      rule({}),
      ['namespaces', 'spec.selector.namespace', 'shop', 'demo, pay', 'is shop; the guardrail namespaces allows demo, pay'],
    ],
    [
      'no namespace, where some are named',
      { namespaces: { shop: {} } },
      made({ selector: { service: 'frontend' } }),
      ['namespaces', 'spec.selector.namespace', 'any namespace', 'shop', 'means any namespace; the guardrail namespaces allows shop'],
    ],
    [
      'any namespace, where some are named',
      { namespaces: { shop: {} } },
      made({ selector: { namespace: '*' } }),
      ['namespaces', 'spec.selector.namespace', 'any namespace', 'shop', 'means any namespace; the guardrail namespaces allows shop'],
    ],
    [
      'a namespace that is a name of every object',
      { namespaces: { shop: {} } },
      made({ selector: { namespace: 'constructor' } }),
      ['namespaces', 'spec.selector.namespace', 'constructor', 'shop', 'is constructor; the guardrail namespaces allows shop'],
    ],
    [
      'a namespace of the system',
      {},
      made({ selector: { namespace: 'kube-system' } }),
      ['system', 'spec.selector.namespace', 'kube-system', 'never', NONE_MESSAGE],
    ],
    [
      "the control plane's own",
      {},
      made({ selector: { namespace: 'boifi' } }),
      ['system', 'spec.selector.namespace', 'boifi', 'never', NONE_MESSAGE.replace('kube-system', 'boifi')],
    ],
    ['one of the system that is named', { namespaces: { 'istio-system': {} } }, made({ selector: { namespace: 'istio-system' } })],
    ['a namespace that only begins like one of the system', {}, made({ selector: { namespace: 'istio-system-2' } })],
    ['a limit that the namespace widens', { maxPercentage: 5, namespaces: { shop: { maxPercentage: 100 } } }, rule({})],
    [
      'a limit that the namespace lifts',
      { requireEnd: true, maxPercentage: 5, namespaces: { shop: { maxPercentage: null, requireEnd: null } } },
      rule({}),
    ],
    [
      'a general limit that the namespace says nothing of',
      { maxPercentage: 5, namespaces: { shop: { maxDuration: '1m' } } },
      rule({ duration_seconds: 60 }),
      ['maxPercentage', 'spec.rules[0].fault.percentage', 100, 5, 'is 100; the guardrail maxPercentage allows 5'],
    ],
    [
      "a limit of the namespace's own",
      { maxPercentage: 50, namespaces: { shop: { maxPercentage: 5 }, pay: { maxPercentage: 1 } } },
      rule({ percentage: 6 }),
      ['maxPercentage', 'spec.rules[0].fault.percentage', 6, 5, 'is 6; the guardrail maxPercentage allows 5'],
    ],
    [
      'a policy that only counts, but its namespace',
      { maxPercentage: 5, requireEnd: true, ...DAYTIME, ...PATHS, namespaces: { pay: {} } },
      made({ mode: 'shadow' }),
      ['namespaces', 'spec.selector.namespace', 'shop', 'pay', 'is shop; the guardrail namespaces allows pay'],
    ],
  ];
  for (const [what, set, applied, ...wrong] of rows) {
    it(`${wrong.length === 0 ? 'take' : 'refuse'} ${what}`, () => {
      const found = violations(applied, rails(set), { appliedAt: NOW, ownNamespace: 'boifi' });
      const expected = wrong.map(([guardrail, field, value, limit, message]) => ({ guardrail, field, value, limit, message }));
      assert.deepEqual(found, expected as Violation[]);
    });
  }

  it('name everything that goes beyond, not only the first', () => {
    const set = rails({ maxPercentage: 5, maxDuration: '1m', ...PATHS, ...DAYTIME, namespaces: { pay: {} } });
    const found = violations(rule({ duration_seconds: 7200 }, { path: { exact: '/healthz' } }), set, {
      appliedAt: NOW,
      ownNamespace: undefined,
    });
    assert.deepEqual(
      found.map(({ guardrail }) => guardrail),
      ['namespaces', 'maxPercentage', 'maxDuration', 'hours', 'forbiddenPaths'],
    );
  });

  describe('and the number of proxies', () => {
    const judged = (set: object, candidates: ReturnType<typeof proxies>) =>
      violations(rule({}), rails(set), { appliedAt: NOW, ownNamespace: undefined, proxies: candidates });

    it('take as many as may be', () => assert.deepEqual(judged({ maxProxies: 10 }, proxies(10)), []));
    it('refuse one more', () => {
      assert.deepEqual(judged({ maxProxies: 10 }, proxies(11)), [
        {
          guardrail: 'maxProxies',
          field: 'spec.selector',
          value: 11,
          limit: 10,
          message: 'selects 11 connected proxies; the guardrail maxProxies allows 10',
        },
      ]);
    });
    it('count one of each service, where only one is for it', () => {
      assert.deepEqual(judged({ maxProxies: 3, oneProxyOfEachService: true }, proxies(30, 3)), []);
      assert.equal(judged({ maxProxies: 2, oneProxyOfEachService: true }, proxies(30, 3))[0]?.value, 3);
    });
    it('choose the same ones in whatever order they are known', () => {
      const all = proxies(12, 3);
      const expected = ['proxy-000', 'proxy-001', 'proxy-002'];
      for (const order of [all, all.toReversed(), [...all.slice(7), ...all.slice(0, 7)]]) {
        assert.deepEqual(chosenOf(order, { oneProxyOfEachService: true }), expected);
      }
      assert.deepEqual(chosenOf(all.slice(0, 2), { maxProxies: 5 }), ['proxy-000', 'proxy-001']);
      assert.equal(chosenOf(all, {}), undefined);
    });
    it('take services of one name in two namespaces for two', () => {
      const two = ['shop', 'pay'].map((namespace) => ({ name: `in-${namespace}`, namespace, service: 'api' }));
      assert.deepEqual(chosenOf(two, { oneProxyOfEachService: true }), ['in-pay', 'in-shop']);
    });
  });

  describe('when a ruleset is compiled', () => {
    const identity = (namespace: string) => ({ namespace, workload: 'w', labels: {} });
    const entry = (one: Policy, appliedAt = NOW) => ({ policy: one, appliedAt });

    it('keep a policy from the proxies of the system, whatever its selector says', () => {
      const guard = new Guard(undefined, 'boifi');
      const everybody = entry(made({ selector: {} }));
      assert.equal(guard.allowed(everybody, identity('shop')), everybody);
      for (const namespace of ['kube-system', 'istio-system', 'boifi'])
        assert.equal(guard.allowed(everybody, identity(namespace)), undefined);
      assert.notEqual(
        new Guard(rails({ namespaces: { boifi: {} } }), 'boifi').allowed(
          entry(made({ selector: { namespace: 'boifi' } })),
          identity('boifi'),
        ),
        undefined,
      );
    });

    it('hold back what was applied under wider ones', () => {
      const guard = new Guard(rails({ maxPercentage: 50 }), undefined);
      assert.equal(guard.allowed(entry(rule({ percentage: 51 })), identity('shop')), undefined);
      assert.notEqual(guard.allowed(entry(rule({ percentage: 50 })), identity('shop')), undefined);
      const everybody = entry(made({ selector: {} }));
      assert.equal(new Guard(rails({ namespaces: { shop: {} } }), undefined).allowed(everybody, identity('shop')), undefined);
    });

    it('judge by the moment of the apply, however late it is', () => {
      const guard = new Guard(rails({ ...DAYTIME, maxDuration: '1h' }), undefined);
      const stored = entry(rule({ duration_seconds: 3600 }));
      for (let i = 0; i < 2; i++) assert.notEqual(guard.allowed(stored, identity('shop')), undefined);
      assert.equal(guard.allowed(entry(rule({ duration_seconds: 3600 }), NOW + 1000), identity('shop')), undefined);
    });

    it("leave the forbidden paths of the proxy's namespace out", () => {
      const guard = new Guard(
        rails({ forbiddenPaths: ['/a'], namespaces: { shop: { forbiddenPaths: ['/b'] }, pay: {}, demo: { forbiddenPaths: null } } }),
        undefined,
      );
      const never = (namespace: string) => guard.allowed(entry(made({ selector: { namespace } })), identity(namespace))?.never;
      assert.deepEqual([never('shop'), never('pay'), never('demo')], [[{ exact: '/b' }], [{ exact: '/a' }], undefined]);
    });
  });

  describe('in a file', () => {
    let folder: string;
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'hfi-guardrails-'));
    });
    after(() => rmSync(folder, { recursive: true }));
    const read = (text: string) => {
      const file = join(folder, 'guardrails.yaml');
      writeFileSync(file, text);
      return readGuardrails({ HFI_GUARDRAILS_FILE: file });
    };

    it('are none where no file is named', () => assert.equal(readGuardrails({}), undefined));
    it('want an end if nothing else is said', () => assert.deepEqual(read('{}'), { requireEnd: true }));
    it('are read from JSON as from YAML', () => {
      assert.deepEqual(read('{"maxPercentage": 5, "forbiddenPaths": ["/healthz"]}'), {
        requireEnd: true,
        maxPercentage: 5,
        forbiddenPaths: [{ exact: '/healthz' }],
      });
    });

    const refused: [string, RegExp][] = [
      ['maxPercentages: 5', /maxPercentages is no field here \(did you mean maxPercentage\?\)/],
      ['maxPercentage: 101', /maxPercentage must be at most 100/],
      ['maxDuration: 721h', /maxDuration must be a duration from 1s to 720h/],
      ['maxDuration: 1d', /maxDuration must be a duration from 1s to 720h/],
      ['maxProxies: 0', /maxProxies must be at least 1/],
      ["hours: [{ from: '17:00', to: '09:00' }]", /hours\[0\]\.to is not after from/],
      ['hours: [{ from: 9 }]', /hours\[0\]\.from must be text, not a number/],
      ["hours: [{ from: '9:00' }]", /hours\[0\]\.from is no time of day[^;]*$/],
      ["hours: [{ to: '24:01' }]", /hours\[0\]\.to is no time of day/],
      ['hours: [{ days: [wed, som] }]', /hours\[0\]\.days\[1\] must be mon or tue/],
      ['hours: [{ zone: Mars/Olympus }]', /hours\[0\]\.zone is no time zone/],
      ['forbiddenPaths: [{ regex: "(" }]', /forbiddenPaths\[0\]\.regex/],
      ["namespaces: { 'A b': {} }", /is no namespace/],
      ['namespaces: { shop: { maxPercent: 5 } }', /namespaces\.shop\.maxPercent is no field here/],
      ['[]', /it must be an object, not a list/],
      ['a: [', /can not be read/],
    ];
    for (const [text, message] of refused) {
      it(`are refused with ${text}`, () =>
        assert.throws(
          () => read(text),
          (error) => error instanceof ConfigError && /^HFI_GUARDRAILS_FILE/.test(error.message) && message.test(error.message),
        ));
    }
    it('are refused when the file is not there', () =>
      assert.throws(() => readGuardrails({ HFI_GUARDRAILS_FILE: '/nowhere' }), /HFI_GUARDRAILS_FILE can not be read/));
  });
});
