import { RunError } from '@pulumi/pulumi';
import { z } from 'zod';
import { parseDuration } from '../services/policy/duration.ts';
import { guardrails } from '../services/policy/guardrails.ts';
import { fieldErrors } from '../services/policy/problems.ts';
import { OTLP_PORT, PROMETHEUS_PORT } from './egress.ts';
import { images } from './images.ts';
import { isSchedule } from './schedule.ts';

/**
 * What `pulumi config` may say for this project: one object a key, each field with its default and its limits. The reference
 * (`docs/reference/stack.md`) is made from the `.describe()` texts, and from `.meta()` where JSON Schema has no words.
 */

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const QUANTITY = /^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti)$/;

const namespaceName = z
  .string()
  .regex(DNS_LABEL, 'must be a DNS label: at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit')
  .meta({ format: 'DNS label' });

/** Those of the cluster itself and of the mesh: nothing of ours goes there, and nothing there is ever faulted. */
const CLUSTERS_OWN = /^(kube-.*|istio-system)$/;

const meshNamespace = namespaceName.refine((name) => !CLUSTERS_OWN.test(name), "must not be the cluster's own (kube-… or istio-system)");
const ownNamespace = meshNamespace.refine((name) => name !== 'default', 'must be a namespace of its own, not default');

const image = z
  .string()
  .regex(
    /^[^\s@]+:[\w][\w.-]*(@sha256:[0-9a-f]{64})?$/,
    'must be a name with an exact tag, such as docker.io/library/node:24.21.0-bookworm-slim',
  )
  .refine((name) => !/:latest(@|$)/.test(name), 'must have an exact tag: what latest is changes');

const quantity = z
  .string()
  .regex(QUANTITY, 'must be an amount of bytes such as 512Mi or 2Gi')
  .meta({ format: 'amount of bytes', limits: 'such as 512Mi or 2Gi' });

const duration = (least: string, most: string) =>
  z
    .string(`must be a duration from ${least} to ${most}, such as ${least}`)
    .refine((text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= (parseDuration(least) ?? 0) && ms <= (parseDuration(most) ?? 0);
    }, `must be a duration from ${least} to ${most}, such as ${least}`)
    .transform((text) => parseDuration(text) ?? 0)
    .meta({ format: 'duration', limits: `${least} to ${most}` });

const backup = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether it is done.'),
  schedule: z
    .string()
    .refine(isSchedule, 'must be a schedule of five fields as in crontab, such as 17 3 * * *, or a word such as @daily')
    .meta({ format: 'schedule', limits: 'as in crontab' })
    .default('17 3 * * *')
    .describe("When, by the cluster's clock: minute, hour, day, month, weekday."),
  keep: z.int().min(1).max(1000).default(7).describe('How many snapshots stay.'),
  storage: quantity.default('2Gi').describe('The persistent volume for the snapshots. It must take one more than stay.'),
});

const etcd = z.strictObject({
  members: z
    .union([z.literal(1), z.literal(3)], 'must be 1 or 3')
    .default(1)
    .describe('Members of the etcd cluster: 1, or 3 to go on when one is lost.'),
  storage: quantity.default('2Gi').describe('The persistent volume of each member.'),
  storageClass: z.string().min(1).optional().describe("The volumes' StorageClass; the cluster's default when missing."),
  backup: backup
    .prefault({})
    .describe("A snapshot on a volume of its own, then the defragmentation of each member. For an etcd of HFI's own only."),
  external: z
    .strictObject({
      endpoints: z
        .array(z.url({ protocol: /^https?$/, error: 'must be a URL such as https://etcd-0.example:2379' }))
        .min(1)
        .describe('URLs of its members.'),
      secret: z
        .string()
        .min(1)
        .optional()
        .describe('A Secret in the system namespace with `ca.crt`, and `tls.crt` and `tls.key` or `username` and `password`.'),
      login: z.enum(['certificate', 'password']).default('certificate').describe('Which of the two the Secret has.'),
    })
    .optional()
    .describe('An etcd that is there already. Then none is made.'),
});

const tokenReview = z.strictObject({
  audience: z.string().min(1).default('hfi').describe('Whom a token must be made for: `kubectl create token NAME --audience hfi`.'),
  roles: z
    .array(
      z
        .strictObject({
          user: z.string().min(1).optional().describe('The user with this name.'),
          group: z.string().min(1).optional().describe('Everybody of this group.'),
          serviceAccount: z
            .string()
            .regex(/^(\*|[a-z0-9-]+)\/(\*|[a-z0-9.-]+)$/, 'must be namespace/name, each perhaps *')
            .optional()
            .describe('This account, as `namespace/name`; each may be `*`.'),
          role: z.enum(['admin', 'editor', 'viewer', 'proxy']).describe('What they may do.'),
          namespaces: z
            .union([z.literal('own'), z.array(namespaceName).min(1)], 'must be a list of namespaces, or own')
            .optional()
            .describe("The only namespaces that it is for; `own` = the service account's. Missing: every namespace."),
        })
        .refine(
          ({ user, group, serviceAccount }) => [user, group, serviceAccount].filter((one) => one !== undefined).length === 1,
          'needs exactly one of user, group and serviceAccount',
        ),
    )
    .min(1)
    .describe('Who is let in, as what. The first entry that names somebody decides.'),
});

const audit = z.strictObject({
  keepDays: z.int().min(0).max(36_500).default(90).describe('How long its entries stay, in days; 0 = no limit.'),
  keepEntries: z
    .int()
    .min(0)
    .max(10_000_000)
    .default(100_000)
    .describe('How many of them stay at most; 0 = no limit. They are in etcd, whose database has a limit of its own.'),
});

const history = z.strictObject({
  keepDays: z.int().min(0).max(36_500).default(30).describe('How long ended runs stay, in days; 0 = no limit.'),
  keepRuns: z.int().min(0).max(1_000_000).default(1000).describe('How many of them stay at most; 0 = no limit.'),
});

/** What the control plane calls: by what URL, and what the network policy must let out for it. */
const destination = ({ example, url, port }: { readonly example: string; readonly url: string; readonly port: number }) => ({
  url: z
    .url({ protocol: /^https?$/, error: `must be a URL such as ${example}` })
    .refine((text) => !/[@?#]/.test(text), 'must have no login, no query and no fragment')
    .describe(url),
  namespace: namespaceName
    .optional()
    .describe(
      'The namespace of its pods: the network policy lets the control plane reach no other. Missing: it is outside of the cluster.',
    ),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe(
      `The only port that the network policy opens: its pods', not its Service's. Missing: ${port} with \`namespace\`, else the URL's.`,
    ),
});

const prometheus = z.strictObject({
  ...destination({
    example: 'http://prometheus-operated.monitoring:9090',
    url: 'Its address, or that of what speaks its HTTP API, as the control plane sees it.',
    port: PROMETHEUS_PORT,
  }),
  interval: duration('100ms', '60s').prefault('1s').describe('Between two evaluations of a condition.'),
  timeout: duration('100ms', '60s').prefault('2s').describe('How long an answer may take; later ones are none.'),
  tokenSecret: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A Secret in the system namespace whose `token` is sent with each query, as a bearer token. The pods wait until it is there.',
    ),
  caSecret: z
    .string()
    .min(1)
    .optional()
    .describe('A Secret in the system namespace whose `ca.crt` is the authority of its certificate, for an `https` URL.'),
});

const telemetry = z.strictObject({
  ...destination({
    example: 'http://collector.observability:4318',
    url: 'The base URL of OTLP over HTTP, as the control plane sees it: `/v1/logs` is added to it.',
    port: OTLP_PORT,
  }),
  headersSecret: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A Secret in the system namespace whose `headers` are sent along, as `OTEL_EXPORTER_OTLP_HEADERS` has them: `authorization=Bearer%20…`.',
    ),
});

const controlPlane = z.strictObject({
  replicas: z.int().min(1).max(9).default(2).describe('Replicas; any of them answers anything.'),
  image: image.optional().describe('A prebuilt image (see `Dockerfile`) in place of the stock Node image and the bundle.'),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('What is logged.'),
  inMesh: z
    .boolean()
    .default(false)
    .describe(
      'Gives the control plane a sidecar: mutual TLS with the proxies, each of which is of the namespace that its certificate says, and an AuthorizationPolicy for each group of routes. Pod Security is then no longer enforced in the system namespace, as the sidecar needs more than "restricted" allows.',
    ),
  revision: z.string().min(1).optional().describe("With `inMesh`: the mesh's revision (`istio.io/rev`), where it has revisions."),
  tls: z
    .strictObject({
      secret: z
        .string()
        .min(1)
        .describe('A Secret of the type `kubernetes.io/tls` in the system namespace; the pods wait until it is there.'),
    })
    .optional()
    .describe('Serves the API over TLS too, on port 8443. A changed certificate is taken over without a restart.'),
  tokenReview: tokenReview.optional().describe("Lets the cluster's own users and service accounts in, by their tokens."),
  prometheus: prometheus
    .optional()
    .describe('Whom stop conditions (`stopWhen: [{prometheus: …}]`) are asked of. Missing: such policies are refused.'),
  telemetry: telemetry.optional().describe('Where what was audited is sent too, each entry once, as log records of OpenTelemetry.'),
  audit: audit.prefault({}).describe('Who changed what (`hfi audit`). The oldest entries are removed; the rest can still be verified.'),
  history: history.prefault({}).describe('What policies did that are over (`hfi policy history`).'),
});

const mesh = z.strictObject({
  namespaces: z
    .array(meshNamespace)
    .default([])
    .describe("Namespaces whose sidecars get the filter, besides the demo's. The system namespace is never one of them."),
  maxDelayedRequests: z.int().min(0).max(100_000).default(1000).describe('How many requests one proxy holds in delays at a time.'),
  lease: duration('5s', '1h').prefault('60s').describe('How long a proxy goes on faulting without hearing from the control plane.'),
  metricsFilter: z
    .boolean()
    .default(false)
    .describe("Adds the EnvoyFilter that shows the filter's metrics, which only a mesh with its own `proxyStatsMatcher` needs."),
});

const demo = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether the demo (frontend and backend) is installed.'),
  namespace: ownNamespace.default('demo').describe('Its namespace.'),
});

const monitoring = z.strictObject({
  enabled: z
    .union([z.boolean(), z.literal('auto')], 'must be true, false or auto')
    .default('auto')
    .describe(
      "A Grafana dashboard, and PodMonitors and alert rules of the Prometheus operator: `auto` makes these where the cluster has the operator, `true` refuses a cluster without it, `false` makes nothing. The control plane's pods have Prometheus' scrape annotations in any case.",
    ),
  namespace: namespaceName.default('monitoring').describe("Where Prometheus runs: it may read etcd's metrics."),
  labels: z
    .record(
      z.string().regex(LABEL_KEY, 'is no label name'),
      z.string('must be text: put it in quotation marks if it looks like a number').regex(LABEL_VALUE, 'is no label value'),
    )
    .default({})
    .describe("Labels of the PodMonitors and alert rules, for an operator that takes only some: kube-prometheus-stack's `release`."),
});

const imageTable = z.strictObject({
  mirror: z
    .string()
    .regex(/^[^\s/:]+(:\d+)?(\/[^\s:]*)?$/, 'must be a registry, and perhaps a path, without https://, such as registry.example/mirror')
    .optional()
    .describe('A registry, and perhaps a path, that stands in front of every image: `registry.example/mirror`.'),
  node: image.default(images.node).describe("Runs the control plane, etcd's upkeep and the demo."),
  nginx: image.default(images.nginx).describe('Serves the filter.'),
  etcd: image.default(images.etcd).describe('etcd, 3.6 or newer, with etcdctl.'),
  pullSecret: z.string().min(1).optional().describe('Name of an image pull secret in the namespaces.'),
});

export const stackSchema = z.strictObject({
  systemNamespace: ownNamespace.default('boifi').describe("The namespace of HFI's own parts; it must not be there yet."),
  rotation: z
    .string()
    .max(64)
    .default('1')
    .describe('Any other text makes new tokens and certificates. The tokens of the last time stay good until the next.'),
  readyWithin: duration('10s', '1h').prefault('10m').describe('How long a part may take to become ready.'),
  etcd: etcd.prefault({}).describe("Where the control plane's state lives."),
  controlPlane: controlPlane.prefault({}).describe('The control plane.'),
  mesh: mesh.prefault({}).describe('What the mesh gets.'),
  demo: demo.prefault({}).describe('A demo app to break.'),
  monitoring: monitoring.prefault({}).describe('What watches HFI itself.'),
  guardrails: guardrails
    .optional()
    .describe(
      'What no policy may go beyond, whoever applies it ([reference](guardrails.md)). Missing: nothing but the namespaces of the system is closed.',
    ),
  images: imageTable.prefault({}).describe('Every image there is, by exact tag; a digest may follow (`name:tag@sha256:…`).'),
});

/** The configuration, checked and with its defaults. Durations are in milliseconds. */
export type StackConfig = z.output<typeof stackSchema>;

/** Keys of an earlier version, with where what they said belongs now. */
const MOVED: Readonly<Record<string, string>> = { lease: 'mesh.lease', maxDelayedRequests: 'mesh.maxDelayedRequests' };

/**
 * Reads and checks the stack's configuration.
 *
 * @param all every setting of the stack, as `pulumi.runtime.allConfig()` gives them; those of other projects are left alone
 * @param project the project's name, which is the namespace of its settings
 * @throws RunError that names every wrong key, what it may be, and the nearest one for a key that doesn't exist
 */
export function readStackConfig(all: Readonly<Record<string, string>>, project: string): StackConfig {
  const prefix = `${project}:`;
  const given = Object.fromEntries(
    Object.entries(all)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, text]) => [key.slice(prefix.length), value(key.slice(prefix.length), text)]),
  );
  const result = stackSchema.safeParse(given);
  const faults = result.success ? crossFaults(result.data) : fieldErrors(stackSchema, result.error.issues, given).map(inWords);
  if (!result.success || faults.length > 0) {
    throw new RunError(`The stack's configuration can't be used:\n${faults.map((fault) => `  - ${prefix}${fault}`).join('\n')}`);
  }
  return result.data;
}

/** Pulumi keeps an object as JSON and everything else as text. */
function value(key: string, text: string): unknown {
  const field = (stackSchema.shape as Record<string, z.ZodType>)[key];
  if (field === undefined || ['systemNamespace', 'rotation', 'readyWithin'].includes(key)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function inWords({ path, message, allowed, nearest }: ReturnType<typeof fieldErrors>[number]): string {
  const moved = MOVED[path];
  if (moved !== undefined) return `${path} has moved: set ${moved}.`;
  const hint = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  const choice = allowed === undefined ? '' : ` There are: ${allowed.join(', ')}.`;
  return `${path}: ${message}.${hint}${choice}`;
}

/** What no field can say alone. */
function crossFaults(config: StackConfig): string[] {
  const faults: string[] = [];
  const meshed = [...config.mesh.namespaces, ...(config.demo.enabled ? [config.demo.namespace] : [])];
  if (meshed.includes(config.systemNamespace)) {
    faults.push(`mesh.namespaces: has the system namespace ${config.systemNamespace}, where HFI must never be faulted.`);
  }
  const { prometheus: asked } = config.controlPlane;
  if (asked?.caSecret !== undefined && !asked.url.startsWith('https:')) {
    faults.push('controlPlane.prometheus.caSecret: goes only with an https URL.');
  }
  if (config.mesh.namespaces.length !== new Set(config.mesh.namespaces).size) {
    faults.push('mesh.namespaces: names a namespace twice.');
  }
  return faults;
}

/** All namespaces whose sidecars get the filter. */
export function meshNamespaces({ mesh: { namespaces }, demo: { enabled, namespace } }: StackConfig): string[] {
  return [...new Set([...namespaces, ...(enabled ? [namespace] : [])])].sort();
}
