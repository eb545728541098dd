import { accessSync, constants } from 'node:fs';
import { ConfigError, type Environment, url, whole } from '../environment.ts';

/** How Prometheus is reached. */
export interface PrometheusConfig {
  /** Of Prometheus itself, or of what speaks its HTTP API below that address. */
  readonly url: string;
  /** Between two evaluations of a condition, in milliseconds. */
  readonly intervalMs: number;
  /** How long an answer may take, in milliseconds; then there is none. */
  readonly timeoutMs: number;
  /** Read for each query, so that a token may be changed under it. */
  readonly tokenFile: string | undefined;
  readonly caFile: string | undefined;
}

const URL_VARIABLE = 'HFI_PROMETHEUS_URL';
const OTHERS = ['HFI_PROMETHEUS_INTERVAL_MS', 'HFI_PROMETHEUS_TIMEOUT_MS', 'HFI_PROMETHEUS_TOKEN_FILE', 'HFI_PROMETHEUS_CA_FILE'] as const;

/**
 * Reads how Prometheus is reached; undefined without one.
 *
 * @throws ConfigError
 */
export function readPrometheus(env: Environment): PrometheusConfig | undefined {
  const given = env[URL_VARIABLE];
  if (given === undefined) {
    const alone = OTHERS.find((name) => env[name] !== undefined);
    if (alone !== undefined) throw new ConfigError(`${alone} is set and ${URL_VARIABLE} is not; set ${URL_VARIABLE} too`);
    return undefined;
  }
  const found = url(URL_VARIABLE, given);
  if (/[?#]/.test(given)) throw new ConfigError(`${URL_VARIABLE} has "${given}"; it must have no query and no fragment`);
  const [tokenFile, caFile] = [readable(env, 'HFI_PROMETHEUS_TOKEN_FILE'), readable(env, 'HFI_PROMETHEUS_CA_FILE')];
  if (caFile !== undefined && !given.startsWith('https:'))
    throw new ConfigError(`HFI_PROMETHEUS_CA_FILE is set and ${URL_VARIABLE} is no https URL`);
  return {
    url: found,
    intervalMs: whole('HFI_PROMETHEUS_INTERVAL_MS', env.HFI_PROMETHEUS_INTERVAL_MS ?? '1000', 100, 60_000),
    timeoutMs: whole('HFI_PROMETHEUS_TIMEOUT_MS', env.HFI_PROMETHEUS_TIMEOUT_MS ?? '2000', 100, 60_000),
    tokenFile,
    caFile,
  };
}

function readable(env: Environment, name: (typeof OTHERS)[number]): string | undefined {
  const file = env[name];
  if (file === undefined) return undefined;
  try {
    accessSync(file, constants.R_OK);
    return file;
  } catch (error) {
    throw new ConfigError(`${name} can not be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
