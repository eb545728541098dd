import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from '@hono/zod-openapi';
import type { Guardrails } from '../policy/guardrails.ts';
import { pathText } from '../policy/problems.ts';
import { ROLES } from './access/caller.ts';
import { readTokenReview, type TokenReviewConfig } from './access/kubernetes/settings.ts';
import type { Token } from './access/tokens.ts';
import { ConfigError, type Environment, oneOf, url, whole } from './environment.ts';
import { readGuardrails } from './guardrails/settings.ts';
import { type Listener, readListeners } from './listen.ts';
import { type PrometheusConfig, readPrometheus } from './stop-conditions/settings.ts';
import type { EtcdConfig } from './store/client.ts';
import { readEtcd } from './store/settings.ts';

export interface Config {
  /** Where the API is served. */
  readonly listeners: readonly Listener[];
  readonly etcd: EtcdConfig;
  readonly tokens: readonly Token[];
  /** What no policy may go beyond; undefined = nothing was set. */
  readonly guardrails: Guardrails | undefined;
  /** The namespace that it runs in, where it runs in one. */
  readonly ownNamespace: string | undefined;
  /** Whether a sidecar stands before it, which says whose certificate a connection has. */
  readonly inMesh: boolean;
  /** How Kubernetes is asked for tokens; undefined = it isn't. */
  readonly tokenReview: TokenReviewConfig | undefined;
  readonly replica: string;
  /** Where the other replicas reach this one; undefined = alone. */
  readonly advertiseUrl: string | undefined;
  readonly logLevel: string;
  /** How long answers under way may take after the end was asked for, in milliseconds. */
  readonly drainMs: number;
  /** How long a copy of the policies that could not be confirmed is still served, in milliseconds. */
  readonly staleMs: number;
  /** Changes a second that one token may make in the long run, and at once. */
  readonly writesPerSecond: number;
  readonly writeBurst: number;
  /** Reads a second that one caller may make in the long run, and at once. */
  readonly readsPerSecond: number;
  readonly readBurst: number;
  /**
   * Polls a second of one proxy, in the long run and at once, and as many reports beside them. Changes wake it, so it is far more than it needs by itself;
   * it reports once a second at most.
   */
  readonly pollsPerSecond: number;
  readonly pollBurst: number;
  /** Signs the audit; undefined leaves it unsigned. */
  readonly auditKey: string | undefined;
  /** How long audit entries are kept, in days, and how many of them; 0 = no limit. */
  readonly auditKeepDays: number;
  readonly auditKeepEntries: number;
  /** How long runs that ended are kept, in days, and how many of them; 0 = no limit. */
  readonly historyKeepDays: number;
  readonly historyKeepRuns: number;
  /** Where stop conditions are asked for; undefined = nowhere. */
  readonly prometheus: PrometheusConfig | undefined;
  /** The filter's module, which `explain` asks; undefined when there is none. */
  readonly filterFile: string | undefined;
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const tokensSchema = z
  .array(
    z.strictObject({
      name: z.string().min(1),
      role: z.enum(ROLES),
      namespaces: z.array(z.string().regex(DNS_LABEL, 'must be a namespace')).min(1).optional(),
      token: z.string().regex(/^[\x21-\x7e]{16,}$/, 'must be at least 16 printable ASCII characters without spaces'),
    }),
  )
  .min(1, 'needs at least one token')
  .superRefine((tokens, context) => {
    tokens.forEach(({ token }, i) => {
      const first = tokens.findIndex((other) => other.token === token);
      if (first < i) context.addIssue({ code: 'custom', path: [i, 'token'], message: `is the same as that of entry ${first}` });
    });
  });

/**
 * Reads the configuration from environment variables.
 *
 * @param program the folder of the program that runs, beside which the filter's module is looked for
 * @throws ConfigError
 */
export function readConfig(env: Environment, program: string): Config {
  return {
    listeners: readListeners(env),
    etcd: readEtcd(env),
    tokens: readTokens(env.HFI_TOKENS_FILE),
    guardrails: readGuardrails(env),
    ownNamespace: env.HFI_NAMESPACE,
    inMesh: oneOf('HFI_IN_MESH', env.HFI_IN_MESH ?? 'off', ['on', 'off']) === 'on',
    tokenReview: readTokenReview(env),
    replica: env.HFI_REPLICA ?? hostname(),
    advertiseUrl: env.HFI_ADVERTISE_URL === undefined ? undefined : url('HFI_ADVERTISE_URL', env.HFI_ADVERTISE_URL),
    logLevel: oneOf('HFI_LOG_LEVEL', env.HFI_LOG_LEVEL ?? 'info', LEVELS),
    drainMs: whole('HFI_DRAIN_MS', env.HFI_DRAIN_MS ?? '5000', 0, 600_000),
    staleMs: whole('HFI_STALE_MS', env.HFI_STALE_MS ?? '10000', 1000, 600_000),
    writesPerSecond: whole('HFI_WRITES_PER_SECOND', env.HFI_WRITES_PER_SECOND ?? '2000', 1, 1_000_000),
    writeBurst: whole('HFI_WRITE_BURST', env.HFI_WRITE_BURST ?? '4000', 1, 1_000_000),
    readsPerSecond: whole('HFI_READS_PER_SECOND', env.HFI_READS_PER_SECOND ?? '2000', 1, 1_000_000),
    readBurst: whole('HFI_READ_BURST', env.HFI_READ_BURST ?? '4000', 1, 1_000_000),
    pollsPerSecond: whole('HFI_POLLS_PER_SECOND', env.HFI_POLLS_PER_SECOND ?? '500', 1, 1_000_000),
    pollBurst: whole('HFI_POLL_BURST', env.HFI_POLL_BURST ?? '1000', 1, 1_000_000),
    auditKey: readAuditKey(env.HFI_AUDIT_KEY_FILE),
    auditKeepDays: whole('HFI_AUDIT_KEEP_DAYS', env.HFI_AUDIT_KEEP_DAYS ?? '90', 0, 36_500),
    auditKeepEntries: whole('HFI_AUDIT_KEEP_ENTRIES', env.HFI_AUDIT_KEEP_ENTRIES ?? '100000', 0, 10_000_000),
    historyKeepDays: whole('HFI_HISTORY_KEEP_DAYS', env.HFI_HISTORY_KEEP_DAYS ?? '30', 0, 36_500),
    historyKeepRuns: whole('HFI_HISTORY_KEEP_RUNS', env.HFI_HISTORY_KEEP_RUNS ?? '1000', 0, 1_000_000),
    prometheus: readPrometheus(env),
    filterFile: filterFile(env.HFI_FILTER_FILE, program),
  };
}

/** Beside the bundle's folder, or where the build puts it when the sources run. */
const BUILT = [join('..', 'filter', 'plugin.wasm'), join('..', '..', 'dist', 'filter', 'plugin.wasm')];

function filterFile(given: string | undefined, program: string): string | undefined {
  if (given === undefined) return BUILT.map((path) => join(program, path)).find((path) => existsSync(path));
  if (!existsSync(given)) throw new ConfigError(`HFI_FILTER_FILE is "${given}"; there is no such file`);
  return given;
}

function readTokens(file: string | undefined): Token[] {
  if (file === undefined) {
    throw new ConfigError('HFI_TOKENS_FILE is not set; it must name a JSON file like [{"name":"ops","role":"admin","token":"…"}]');
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    // The parser's own message would quote what it read.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : String(error instanceof Error ? error.message : error);
    throw new ConfigError(`HFI_TOKENS_FILE can not be read: ${reason}`);
  }
  const result = tokensSchema.safeParse(parsed);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ConfigError(`HFI_TOKENS_FILE: ${pathText(issue?.path ?? [])} ${issue?.message ?? 'is not a list of tokens'}`);
  }
  return result.data;
}

const LEAST_KEY_LENGTH = 16;

function readAuditKey(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  let key: string;
  try {
    key = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(`HFI_AUDIT_KEY_FILE can not be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (key.length < LEAST_KEY_LENGTH)
    throw new ConfigError(`HFI_AUDIT_KEY_FILE has ${key.length} characters; a key has at least ${LEAST_KEY_LENGTH}`);
  return key;
}
