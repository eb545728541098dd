import type { InferResponseType } from 'hono/client';
import type { Client } from './client.ts';

/** A halt as the API shows it. */
export type Halt = InferResponseType<Client['v1']['halt']['$get'], 200>['halts'][number];

/** What is halted: `everything`, or the namespace. */
export function whatIsHalted({ namespace }: Pick<Halt, 'namespace'>): string {
  return namespace === null ? 'everything' : `namespace ${namespace}`;
}

/** A halt on one line: what, by whom, since when and why. */
export function haltInWords(halt: Halt): string {
  const { by, since, reason, kept } = halt;
  return `${whatIsHalted(halt)}, by ${by.name} (${by.role}) since ${since}${reason === '' ? '' : `: ${reason}`}${kept ? '' : ' (not kept in etcd yet)'}`;
}

/** The command that lifts it. */
export function resumeCommand({ namespace }: Pick<Halt, 'namespace'>): string {
  return `hfi resume${namespace === null ? '' : ` --namespace ${namespace}`}`;
}

/** Whether nothing that a selector's namespace names is injected into. */
export function isHalted(namespace: string | undefined, halts: readonly Pick<Halt, 'namespace'>[]): boolean {
  return halts.some((halt) => halt.namespace === null || halt.namespace === namespace);
}

/** The halts that concern a selector's namespace, at least in part: of one that names none, all. */
export function haltsOver(namespace: string | undefined, halts: readonly Halt[]): readonly Halt[] {
  const any = namespace === undefined || namespace === '*';
  return halts.filter((halt) => any || halt.namespace === null || halt.namespace === namespace);
}
