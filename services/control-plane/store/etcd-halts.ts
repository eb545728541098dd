import type { IRequestOp } from 'etcd3';
import type { Runtime } from '../runtime.ts';
import { asked } from './asked.ts';
import { type AuditOptions, AuditWriter } from './audit-writer.ts';
import type { EtcdClient } from './client.ts';
import { type Halt, type HaltStore, type Kept, type Lifted, readHalt } from './halts.ts';
import { haltKey, KEPT_HALTS } from './keys.ts';
import type { AuditEntry, Origin } from './store.ts';
import { encode } from './value.ts';

/** Halts in etcd. A halt, its mark and its audit entry are one transaction. */
export class EtcdHalts implements HaltStore {
  readonly #client: EtcdClient;
  readonly #audit: AuditWriter;
  readonly #audited: () => void;

  constructor(client: EtcdClient, runtime: Runtime, { auditKey, audited = () => undefined }: AuditOptions = {}) {
    this.#client = client;
    this.#audit = new AuditWriter(runtime.random, auditKey);
    this.#audited = audited;
  }

  async keep(halt: Halt): Promise<Kept> {
    const key = Buffer.from(haltKey(halt.namespace));
    const mark = Buffer.from(`${KEPT_HALTS}${halt.id}`);
    const origin = { actor: halt.by, address: halt.address, time: halt.time };
    const result = await asked(
      this.#client.keys.txn({
        compare: [key, mark].map((one) => ({ key: one, target: 'Version', result: 'Equal', version: 0 }) as const),
        success: [
          { request_put: { key, value: encode(halt) } },
          { request_put: { key: mark, value: Buffer.alloc(0) } },
          ...this.#entry('halt', { namespace: halt.namespace, reason: halt.reason }, origin),
        ],
        failure: [{ request_range: { key } }],
      }),
    );
    const revision = Number(result.header.revision);
    if (result.succeeded) {
      this.#audited();
      return { halt, revision };
    }
    const [found] = result.responses[0]?.response_range.kvs ?? [];
    // One that found another in force is done too: a late try by a replica must not halt what was resumed since.
    if (found !== undefined) await asked(this.#client.keys.put({ key: mark, value: Buffer.alloc(0) }));
    return { halt: found === undefined ? undefined : readHalt(found), revision };
  }

  async lift(namespace: string | null, origin: Origin): Promise<Lifted> {
    const key = Buffer.from(haltKey(namespace));
    for (;;) {
      const found = await asked(this.#client.keys.range({ key }));
      const [pair] = found.kvs;
      if (pair === undefined) return { halt: undefined, revision: Number(found.header.revision) };
      const halt = readHalt(pair);
      const result = await asked(
        this.#client.keys.txn({
          compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: pair.mod_revision }],
          success: [{ request_delete_range: { key } }, ...this.#entry('resume', { namespace, reason: halt?.reason ?? '' }, origin)],
        }),
      );
      if (!result.succeeded) continue;
      this.#audited();
      return { halt, revision: Number(result.header.revision) };
    }
  }

  #entry(action: 'halt' | 'resume', halt: Required<AuditEntry>['halt'], origin: Origin): IRequestOp[] {
    return this.#audit.ops({ ...origin, action, policy: '', halt, before: null, after: null });
  }
}
