import { z } from '@hono/zod-openapi';
import { asked } from './asked.ts';
import { CALL_DEADLINE_MS, type EtcdConnection } from './client.ts';
import { endOf, STOP_EVALUATOR, STOP_MARKS } from './keys.ts';
import { decode, encode } from './value.ts';

/** How long after its last sign of life a replica is still the evaluator, in seconds: etcd grants no lease that is much shorter. */
export const EVALUATOR_TTL_SECONDS = 3;

/** Since when the stop conditions of a run hold. */
export interface StopMark {
  readonly policy: string;
  /** Which run, in milliseconds since the epoch. */
  readonly appliedAt: number;
  /** By the condition's place in `stopWhen`, in milliseconds since the epoch. Those that don't hold are missing. */
  readonly since: Readonly<Record<string, number>>;
}

const markValue = z.object({ appliedAt: z.number(), since: z.record(z.string(), z.number()) });

/** Who evaluates the stop conditions, and what the next one must know. Every method throws what the store throws. */
export interface StopStore {
  /**
   * Renews that this replica is the evaluator, or makes it that if there is none.
   *
   * @param eager false only looks whether there is one
   * @returns whether it is this replica, and its name; empty = none
   */
  elect(replica: string, eager: boolean): Promise<{ readonly own: boolean; readonly name: string }>;
  /** Is the evaluator no longer. */
  leave(): Promise<void>;
  marks(): Promise<readonly StopMark[]>;
  /** Writes since when conditions hold, or removes it when none does. Only while this replica is the evaluator: whether it was done. */
  mark(mark: StopMark): Promise<boolean>;
}

/** A key with a lease in etcd: whoever made it evaluates, until the lease is not renewed any more. */
export class EtcdStopStore implements StopStore {
  readonly #client: EtcdConnection;
  /** The lease's id while this replica may be the evaluator. */
  #lease: string | undefined;

  constructor(client: EtcdConnection) {
    this.#client = client;
  }

  async elect(replica: string, eager: boolean): Promise<{ own: boolean; name: string }> {
    if (this.#lease !== undefined && !(await asked(this.#renew(this.#lease)))) this.#lease = undefined;
    const { kvs } = await asked(this.#client.keys.range({ key: EVALUATOR }));
    const [holder] = kvs;
    if (holder !== undefined) return { own: this.#isOwn(holder.lease), name: holder.value.toString('utf8') };
    if (!eager) return { own: false, name: '' };
    this.#lease ??= (await asked(this.#client.leases.leaseGrant({ TTL: EVALUATOR_TTL_SECONDS }))).ID;
    const { succeeded, responses } = await asked(
      this.#client.keys.txn({
        compare: [{ key: EVALUATOR, target: 'Version', result: 'Equal', version: 0 }],
        success: [{ request_put: { key: EVALUATOR, value: Buffer.from(replica), lease: this.#lease } }],
        failure: [{ request_range: { key: EVALUATOR } }],
      }),
    );
    if (succeeded) return { own: true, name: replica };
    const [winner] = responses[0]?.response_range.kvs ?? [];
    return { own: winner !== undefined && this.#isOwn(winner.lease), name: winner?.value.toString('utf8') ?? '' };
  }

  async leave(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease !== undefined) await asked(this.#client.leases.leaseRevoke({ ID: lease }));
  }

  async marks(): Promise<readonly StopMark[]> {
    const { kvs } = await asked(this.#client.keys.range({ key: Buffer.from(STOP_MARKS), range_end: Buffer.from(endOf(STOP_MARKS)) }));
    return kvs.flatMap(({ key, value }) => {
      const policy = key.toString('utf8').slice(STOP_MARKS.length);
      // What can't be read is of nobody, and goes.
      const read = markValue.safeParse(decodedOrNothing(value));
      return { policy, ...(read.success ? read.data : { appliedAt: 0, since: {} }) };
    });
  }

  async mark({ policy, appliedAt, since }: StopMark): Promise<boolean> {
    if (this.#lease === undefined) return false;
    const key = Buffer.from(`${STOP_MARKS}${policy}`);
    const { succeeded } = await asked(
      this.#client.keys.txn({
        compare: [{ key: EVALUATOR, target: 'Lease', result: 'Equal', lease: this.#lease }],
        success: [
          Object.keys(since).length === 0
            ? { request_delete_range: { key } }
            : { request_put: { key, value: encode({ appliedAt, since }) } },
        ],
      }),
    );
    return succeeded;
  }

  #isOwn(lease: string): boolean {
    return this.#lease !== undefined && lease === this.#lease;
  }

  /** @returns false when the lease is gone */
  async #renew(lease: string): Promise<boolean> {
    const stream = await this.#client.leases.leaseKeepAlive({ deadline: Date.now() + CALL_DEADLINE_MS });
    try {
      return await new Promise<boolean>((resolve, reject) => {
        stream.on('data', ({ TTL }) => resolve(Number(TTL) > 0));
        stream.on('error', reject);
        stream.on('end', () => reject(new Error('etcd ended the stream')));
        stream.write({ ID: lease });
      });
    } finally {
      stream.end();
    }
  }
}

const EVALUATOR = Buffer.from(STOP_EVALUATOR);

function decodedOrNothing(value: Buffer): unknown {
  try {
    return decode(value);
  } catch {
    return undefined;
  }
}
