import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { pathText } from '../../../policy/problems.ts';
import { ConfigError, type Environment, oneOf, url } from '../../environment.ts';
import { type RoleBindings, roleBindings } from './roles.ts';
import type { KubernetesApi } from './token-review.ts';

/** Where Kubernetes puts what a pod needs to speak to it. */
const IN_POD = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface TokenReviewConfig {
  readonly api: KubernetesApi;
  /** Whom a token must be made for. */
  readonly audiences: readonly string[];
  readonly bindings: RoleBindings;
}

/**
 * Whether and how Kubernetes is asked for tokens, from `HFI_TOKEN_REVIEW=on`, `HFI_TOKEN_REVIEW_ROLES_FILE` (JSON or YAML),
 * `HFI_TOKEN_REVIEW_AUDIENCES` (`hfi`), and for tests `HFI_KUBERNETES_URL`, `HFI_KUBERNETES_CA_FILE`, `HFI_KUBERNETES_TOKEN_FILE`.
 *
 * @returns undefined when it is off
 * @throws ConfigError
 */
export function readTokenReview(env: Environment): TokenReviewConfig | undefined {
  if (oneOf('HFI_TOKEN_REVIEW', env.HFI_TOKEN_REVIEW ?? 'off', ['on', 'off']) === 'off') return undefined;
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (env.HFI_KUBERNETES_URL === undefined && host === undefined) {
    throw new ConfigError('HFI_TOKEN_REVIEW is on, and this is no pod: set HFI_KUBERNETES_URL');
  }
  const inPod = env.HFI_KUBERNETES_URL === undefined;
  return {
    api: {
      url: url('HFI_KUBERNETES_URL', env.HFI_KUBERNETES_URL ?? `https://${host?.includes(':') ? `[${host}]` : host}:${port}`),
      caFile: env.HFI_KUBERNETES_CA_FILE ?? (inPod ? `${IN_POD}/ca.crt` : undefined),
      tokenFile: env.HFI_KUBERNETES_TOKEN_FILE ?? `${IN_POD}/token`,
    },
    audiences: audiences(env.HFI_TOKEN_REVIEW_AUDIENCES ?? 'hfi'),
    bindings: readBindings(env.HFI_TOKEN_REVIEW_ROLES_FILE),
  };
}

function audiences(text: string): string[] {
  const all = text.split(',').map((one) => one.trim());
  if (all.includes('')) throw new ConfigError('HFI_TOKEN_REVIEW_AUDIENCES has an empty audience');
  return all;
}

function readBindings(file: string | undefined): RoleBindings {
  const name = 'HFI_TOKEN_REVIEW_ROLES_FILE';
  if (file === undefined) {
    throw new ConfigError(`${name} is not set; it must name a file like [{"group":"oncall","role":"editor","namespaces":["shop"]}]`);
  }
  let parsed: unknown;
  try {
    parsed = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${name} can not be read: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
  const result = roleBindings.safeParse(parsed);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ConfigError(`${name}: ${pathText(issue?.path ?? [])} ${issue?.message ?? 'is no list of roles'}`.replace(':  ', ': '));
}
