import { RunError } from '@pulumi/pulumi';
import { parseDuration } from '../services/policy/duration.ts';
import { nearest } from '../services/policy/nearest.ts';

/** What `pulumi config` may say for this project, checked. */
export interface StackConfig {
  /** `hfi:systemNamespace`: the Kubernetes namespace of HFI's own parts; a DNS label. */
  readonly systemNamespace: string;
  /** `hfi:lease`, in milliseconds: how long a proxy goes on faulting without hearing from the control plane. */
  readonly leaseMs: number;
  /** `hfi:maxDelayedRequests`: how many requests one proxy holds in delays at a time. */
  readonly maxDelayedRequests: number;
}

interface Setting<Value> {
  readonly fallback: Value;
  readonly allowed: string;
  /** @returns `undefined` when the text is not allowed */
  read(text: string): Value | undefined;
}

const within = (value: number | undefined, low: number, high: number): number | undefined =>
  value !== undefined && value >= low && value <= high ? value : undefined;

const systemNamespace: Setting<string> = {
  fallback: 'boifi',
  allowed: 'a DNS label: at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit',
  read: (text) => (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text) ? text : undefined),
};

const lease: Setting<number> = {
  fallback: 60_000,
  allowed: 'a duration from 5s to 1h, such as 30s or 2m',
  read: (text) => within(parseDuration(text), 5000, 3_600_000),
};

const maxDelayedRequests: Setting<number> = {
  fallback: 1000,
  allowed: 'a whole number from 1 to 100000',
  read: (text) => (/^[0-9]+$/.test(text) ? within(Number(text), 1, 100_000) : undefined),
};

const SETTINGS = { systemNamespace, lease, maxDelayedRequests };

/**
 * Reads and checks the stack's configuration.
 *
 * @param all every setting of the stack, as `pulumi.runtime.allConfig()` gives them; those of other namespaces are left alone
 * @param project the project's name, which is the namespace of its settings
 * @throws RunError that names every wrong key, what it may be, and the nearest one for a key that doesn't exist
 */
export function readStackConfig(all: Readonly<Record<string, string>>, project: string): StackConfig {
  const faults = unknownKeys(all, project);
  const take = <Value>(name: keyof typeof SETTINGS, setting: Setting<Value>): Value => {
    const text = all[`${project}:${name}`];
    if (text === undefined) return setting.fallback;
    const value = setting.read(text);
    if (value === undefined) faults.push(`${project}:${name} is ${JSON.stringify(text)}, but must be ${setting.allowed}.`);
    return value ?? setting.fallback;
  };
  const config: StackConfig = {
    systemNamespace: take('systemNamespace', systemNamespace),
    leaseMs: take('lease', lease),
    maxDelayedRequests: take('maxDelayedRequests', maxDelayedRequests),
  };
  if (faults.length > 0)
    throw new RunError(`The stack's configuration can't be used:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  return config;
}

function unknownKeys(all: Readonly<Record<string, string>>, project: string): string[] {
  const known = Object.keys(SETTINGS);
  return Object.keys(all)
    .filter((key) => key.startsWith(`${project}:`))
    .map((key) => key.slice(project.length + 1))
    .filter((name) => !known.includes(name))
    .map((name) => {
      const near = nearest(name, known);
      const hint = near === undefined ? '' : ` Did you mean ${project}:${near}?`;
      return `${project}:${name} is no setting.${hint} There are ${known.map((one) => `${project}:${one}`).join(', ')}.`;
    });
}
