import type { Logger } from 'pino';
import type { Tokens } from '../access/tokens.ts';
import type { Counts } from '../counts/counts.ts';
import type { Events } from '../events/events.ts';
import type { FilterModule } from '../explain/filter-module.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Halts } from '../fleet/halts.ts';
import type { Unheard } from '../fleet/unheard.ts';
import type { Guard } from '../guardrails/guard.ts';
import type { Metrics } from '../metrics.ts';
import type { Peers } from '../replicas/peers.ts';
import type { Runtime } from '../runtime.ts';
import type { StopConditions } from '../stop-conditions/stop-conditions.ts';
import type { AuditLog } from '../store/audit-log.ts';
import type { HaltStore } from '../store/halts.ts';
import type { History } from '../store/history.ts';
import type { Store, StoredPolicy } from '../store/store.ts';
import type { RateLimit } from './rate-limit.ts';

/** The copy of the policies that this replica follows. */
export interface Copy {
  readonly policies: ReadonlyMap<string, StoredPolicy>;
  /** The newest revision that is in it completely. */
  readonly revision: number;
  /** The revision of the newest change of a policy or halt that is in it. */
  readonly lastChange: number;
  /** Whether it is known to be current, or was a short while ago. */
  fresh(): boolean;
}

/** What the routes are made of. */
export interface Parts {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly history: History;
  readonly copy: Copy;
  readonly fleet: Fleet;
  readonly counts: Counts;
  readonly stopConditions: Pick<StopConditions, 'over' | 'standing' | 'check'>;
  readonly unheard: Pick<Unheard, 'until'>;
  readonly halts: Halts;
  readonly haltStore: HaltStore;
  readonly peers: Peers;
  readonly events: Events;
  readonly tokens: Tokens;
  /** Random bytes for a token that nobody can guess. */
  readonly randomBytes: () => Uint8Array;
  readonly guard: Guard;
  readonly writeLimit: RateLimit;
  /** What the proxies run; undefined where it isn't there. */
  readonly filter: () => FilterModule | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly replica: string;
  /** Tells this start of this replica from all others, 16 hexadecimal digits. */
  readonly start: string;
  readonly version: string;
  /** False from the moment on at which this replica is told to end. */
  readonly serving: () => boolean;
}
