import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from '@hono/zod-openapi';
import { pathText } from '../policy/problems.ts';
import { ROLES, type Token } from './api/auth.ts';
import { ConfigError, type Environment, oneOf, url, whole } from './environment.ts';
import { type PrometheusConfig, readPrometheus } from './stop-conditions/settings.ts';
import type { EtcdConfig } from './store/client.ts';
import { readEtcd } from './store/settings.ts';

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly etcd: EtcdConfig;
  readonly tokens: readonly Token[];
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
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const tokensSchema = z
  .array(
    z.strictObject({
      name: z.string().min(1),
      role: z.enum(ROLES),
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
 * @throws ConfigError
 */
export function readConfig(env: Environment): Config {
  const [host, port] = listen(env.HFI_LISTEN ?? '0.0.0.0:8080');
  return {
    host,
    port,
    etcd: readEtcd(env),
    tokens: readTokens(env.HFI_TOKENS_FILE),
    replica: env.HFI_REPLICA ?? hostname(),
    advertiseUrl: env.HFI_ADVERTISE_URL === undefined ? undefined : url('HFI_ADVERTISE_URL', env.HFI_ADVERTISE_URL),
    logLevel: oneOf('HFI_LOG_LEVEL', env.HFI_LOG_LEVEL ?? 'info', LEVELS),
    drainMs: whole('HFI_DRAIN_MS', env.HFI_DRAIN_MS ?? '5000', 0, 600_000),
    staleMs: whole('HFI_STALE_MS', env.HFI_STALE_MS ?? '10000', 1000, 600_000),
    writesPerSecond: whole('HFI_WRITES_PER_SECOND', env.HFI_WRITES_PER_SECOND ?? '2000', 1, 1_000_000),
    writeBurst: whole('HFI_WRITE_BURST', env.HFI_WRITE_BURST ?? '4000', 1, 1_000_000),
    auditKey: readAuditKey(env.HFI_AUDIT_KEY_FILE),
    auditKeepDays: whole('HFI_AUDIT_KEEP_DAYS', env.HFI_AUDIT_KEEP_DAYS ?? '90', 0, 36_500),
    auditKeepEntries: whole('HFI_AUDIT_KEEP_ENTRIES', env.HFI_AUDIT_KEEP_ENTRIES ?? '100000', 0, 10_000_000),
    historyKeepDays: whole('HFI_HISTORY_KEEP_DAYS', env.HFI_HISTORY_KEEP_DAYS ?? '30', 0, 36_500),
    historyKeepRuns: whole('HFI_HISTORY_KEEP_RUNS', env.HFI_HISTORY_KEEP_RUNS ?? '1000', 0, 1_000_000),
    prometheus: readPrometheus(env),
  };
}

function listen(text: string): [string, number] {
  const found = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(found?.[2]);
  if (found?.[1] === undefined || port > 65_535)
    throw new ConfigError(`HFI_LISTEN is "${text}"; it must be host:port, such as 0.0.0.0:8080`);
  return [found[1].replace(/^\[(.*)\]$/, '$1'), port];
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
