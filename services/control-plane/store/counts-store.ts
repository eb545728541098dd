import { z } from '@hono/zod-openapi';
import type { IKeyValue } from 'etcd3';
import { asValue, type CountsValue, countsValue, fromValue, type ProxyCounts } from '../counts/proxy-counts.ts';
import { asked } from './asked.ts';
import type { EtcdConnection } from './client.ts';
import { COUNTS, endOf } from './keys.ts';
import { decode, encode } from './value.ts';

/** Whose counts, of which run of which policy. The proxy without a name is the sum of those that are gone. */
export interface CountsKey {
  readonly policy: string;
  /** Milliseconds since the epoch. */
  readonly appliedAt: number;
  readonly proxy: string;
}

/** What etcd has of a proxy's counts. */
export interface KeptCounts {
  readonly key: CountsKey;
  readonly counts: ProxyCounts;
  /** The mod revision. */
  readonly revision: number;
  /** Which write it was. */
  readonly by: string;
}

const keptValue = countsValue.extend({ by: z.string().optional() });

/** It is written, or another replica wrote first. */
export type Written =
  | { readonly done: true; readonly revision: number }
  | { readonly done: false; readonly current: KeptCounts | undefined };

/** Counts in etcd. Every method throws what the store throws. */
export class CountsStore {
  readonly #client: EtcdConnection;

  constructor(client: EtcdConnection) {
    this.#client = client;
  }

  /**
   * Writes if the key is still at `revision`, 0 for one that isn't there.
   *
   * @param by a name that no other write has, by which it is known again when no answer comes
   */
  async put(key: CountsKey, counts: ProxyCounts, revision: number, by: string): Promise<Written> {
    const place = bytesOf(key);
    const result = await asked(
      this.#client.keys.txn({
        compare: [{ key: place, target: 'Mod', result: 'Equal', mod_revision: revision }],
        success: [{ request_put: { key: place, value: encode({ by, ...asValue(counts) }) } }],
        failure: [{ request_range: { key: place } }],
      }),
    );
    if (result.succeeded) return { done: true, revision: Number(result.header.revision) };
    const [pair] = result.responses[0]?.response_range.kvs ?? [];
    return { done: false, current: pair === undefined ? undefined : readCounts(pair) };
  }

  /**
   * Puts the sum of those that are gone in the place of a proxy's counts, if both are still at these revisions.
   *
   * @returns the revision of the sum, or undefined when it isn't done
   */
  async fold(gone: CountsKey, sum: ProxyCounts, goneRevision: number, from: CountsKey, fromRevision: number): Promise<number | undefined> {
    const [to, old] = [bytesOf(gone), bytesOf(from)];
    const result = await asked(
      this.#client.keys.txn({
        compare: [
          { key: to, target: 'Mod', result: 'Equal', mod_revision: goneRevision },
          { key: old, target: 'Mod', result: 'Equal', mod_revision: fromRevision },
        ],
        success: [{ request_put: { key: to, value: encode(asValue(sum)) } }, { request_delete_range: { key: old } }],
      }),
    );
    return result.succeeded ? Number(result.header.revision) : undefined;
  }

  /** Removes all of a run. */
  async sweep(policy: string, appliedAt: number): Promise<void> {
    const prefix = `${COUNTS}${policy}/${appliedAt}/`;
    await asked(this.#client.keys.deleteRange({ key: Buffer.from(prefix), range_end: Buffer.from(endOf(prefix)) }));
  }

  close(): void {
    this.#client.close();
  }
}

/** A key as it is in etcd. */
export function textOf({ policy, appliedAt, proxy }: CountsKey): string {
  return `${COUNTS}${policy}/${appliedAt}/${proxy}`;
}

function bytesOf(key: CountsKey): Buffer {
  return Buffer.from(textOf(key));
}

/** A key's parts; undefined when something else wrote there. A proxy's name may hold any character, a policy's no `/`. */
export function readKey(key: Buffer): CountsKey | undefined {
  const [, policy, appliedAt, proxy] = /^([^/]+)\/(\d{1,16})\/(.*)$/s.exec(key.toString('utf8').slice(COUNTS.length)) ?? [];
  if (policy === undefined || appliedAt === undefined || proxy === undefined) return undefined;
  return { policy, appliedAt: Number(appliedAt), proxy };
}

/** @returns undefined when it can't be read */
export function readCounts(pair: IKeyValue): KeptCounts | undefined {
  const key = readKey(pair.key);
  if (key === undefined) return undefined;
  let value: CountsValue & { readonly by?: string | undefined };
  try {
    value = keptValue.parse(decode(pair.value));
  } catch {
    return undefined;
  }
  return { key, counts: fromValue(value), revision: Number(pair.mod_revision), by: value.by ?? '' };
}
