import assert from 'node:assert/strict';
import { Unheard } from '../../services/control-plane/fleet/unheard.ts';
import type { StoredPolicy } from '../../services/control-plane/store/store.ts';
import { policy } from '../../services/policy/schema.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';

class Bed {
  readonly runtime = new HandDrivenRuntime();
  readonly start = this.runtime.clock.now();
  policies: StoredPolicy[] = [];
  leases: number[] = [];
  readonly unheard = new Unheard({ runtime: this.runtime, policies: () => this.policies, leases: () => this.leases });

  /** @param at when it was applied, in milliseconds after this replica's start */
  apply(at: number, namespace?: string, endedAt?: number): void {
    const selector = namespace === undefined ? {} : { namespace };
    const made = policy.parse({ metadata: { name: 'p' }, spec: { selector, rules: [{ fault: { abort: { httpStatus: 503 } } }] } });
    const ended =
      endedAt === undefined ? {} : { ended: { at: this.start + endedAt, reason: 'deleted', why: '', by: { name: '', role: '' } } };
    this.policies = [{ policy: made, createdAt: 0, appliedAt: this.start + at, revision: 1, ...ended } as StoredPolicy];
  }

  /** In milliseconds after the start. */
  until(namespace?: string): number | undefined {
    const until = this.unheard.until(namespace);
    return until === undefined ? undefined : until - this.start;
  }
}

describe('proxies of which no replica has heard', () => {
  it('may go on for a lease after the start with what was applied before, and with nothing else', () => {
    const bed = new Bed();
    assert.equal(bed.until(), undefined, 'nothing was applied');
    bed.apply(5);
    assert.equal(bed.until(), undefined, 'who runs it has asked this replica for it');
    bed.apply(-1000);
    assert.equal(bed.until(), 60_000);
    bed.runtime.advance(59_999);
    assert.equal(bed.until(), 60_000);
    bed.runtime.advance(1);
    assert.equal(bed.until(), undefined);
  });

  it('have the longest lease of those that are known', () => {
    const bed = new Bed();
    bed.apply(-1000);
    bed.leases = [6000, 18_000, 6000];
    assert.equal(bed.until(), 18_000);
  });

  it('of another namespace are not asked about', () => {
    const bed = new Bed();
    bed.apply(-1000, 'shop');
    assert.equal(bed.until('demo'), undefined);
    assert.equal(bed.until('shop'), 60_000);
    assert.equal(bed.until(), 60_000);
  });

  it('may have run what ended since the start, not what ended before', () => {
    const bed = new Bed();
    bed.apply(-1000, undefined, -10);
    assert.equal(bed.until(), undefined);
    bed.apply(-1000, undefined, 10);
    assert.equal(bed.until(), 60_000);
  });

  it('are those of a replica that was lost, too; one that comes is no matter', () => {
    const bed = new Bed();
    bed.unheard.look(['one', 'two']);
    bed.runtime.advance(100_000);
    bed.apply(50_000);
    bed.unheard.look(['one', 'two', 'three']);
    assert.equal(bed.until(), undefined);
    bed.unheard.look(['one', 'three']);
    assert.equal(bed.until(), 160_000);
  });
});
