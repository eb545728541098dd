import type { Policy, Rule } from '../../services/policy/schema.ts';
import { cookieValue, headerValue, matches, type Request } from './oracle-match.ts';
import type { StickyDice } from './oracle-sticky.ts';

/**
 * What the policy reference promises, written slowly and obviously. Shares no code with the compiler, the selector or the
 * filter: it is what they are compared with.
 */

export interface ProxyPlace {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly direction: 'inbound' | 'outbound';
}

/** A policy, and the time of its apply in milliseconds since the epoch. */
export interface Applied {
  readonly policy: Policy;
  readonly appliedAt: number;
}

/** The rule that hit a request, as `policy/rule`. */
export interface Hit {
  readonly rule: string;
  /** It was only counted. */
  readonly shadow: boolean;
}

/** A rule at its place in the order of decision. */
interface Placed {
  readonly rule: Rule;
  readonly name: string;
  readonly shadow: boolean;
  readonly appliedAt: number;
}

/** How often a rule matched, and hit. */
interface Counts {
  matches: number;
  hits: number;
}

/** One proxy, from its start on. */
export class Oracle {
  readonly #proxy: ProxyPlace;
  readonly #dice: StickyDice;
  readonly #counts = new Map<string, Counts>();
  #rules: readonly Placed[] = [];

  /** @param dice what is known of values, which is the same on every proxy */
  constructor(proxy: ProxyPlace, dice: StickyDice) {
    this.#proxy = proxy;
    this.#dice = dice;
  }

  /** From now on these are in force. */
  apply(policies: readonly Applied[]): void {
    this.#rules = policies
      .filter(({ policy }) => policy.spec.direction === this.#proxy.direction && selected(policy, this.#proxy))
      .sort((a, b) => (a.policy.metadata.name < b.policy.metadata.name ? -1 : 1))
      .sort((a, b) => b.policy.spec.priority - a.policy.spec.priority)
      .flatMap(({ policy, appliedAt }) =>
        policy.spec.rules.map((rule, i) => ({
          rule,
          name: `${policy.metadata.name}/${i}`,
          shadow: policy.spec.mode === 'shadow',
          appliedAt,
        })),
      );
  }

  /**
   * Follows one request.
   *
   * @param now milliseconds since the epoch
   * @param seen what became of it
   * @returns what should have, when that can't be
   */
  contradiction(request: Request, now: number, seen: Hit | undefined): string | undefined {
    const deciding = this.#rules.find((one) => this.#decides(one, request, now));
    if (deciding === undefined) return seen === undefined ? undefined : 'nothing';
    const mayHit = this.#mayHit(deciding, request, now, seen !== undefined);
    const { name: rule, shadow } = deciding;
    if (seen === undefined) return mayHit ? undefined : `${shadow ? 'a shadow of ' : ''}${rule}`;
    if (!mayHit || seen.rule !== rule || seen.shadow !== shadow)
      return mayHit ? `${shadow ? 'a shadow of ' : ''}${rule}` : `${rule} with its dice lost`;
    this.#countsOf(deciding).hits++;
    return undefined;
  }

  /** Whether a rule matches, and it is its turn. */
  #decides(one: Placed, request: Request, now: number): boolean {
    const { match, fault } = one.rule;
    if (fault.duration_seconds > 0 && now >= one.appliedAt + fault.duration_seconds * 1000) return false;
    const { start, end } = match?.window ?? {};
    if (start !== undefined && now < new Date(start).getTime()) return false;
    if (end !== undefined && now >= new Date(end).getTime()) return false;
    if (!matches(match, request, this.#proxy.direction === 'outbound')) return false;
    const counts = this.#countsOf(one);
    const { after = 0, every = 1, sequence, limit } = match ?? {};
    if (limit !== undefined && counts.hits >= limit) return false;
    counts.matches++;
    if (counts.matches <= after) return false;
    const rest = counts.matches - after;
    if (rest % every !== 0) return false;
    const turns = rest / every;
    return sequence === undefined || sequence[(turns - 1) % sequence.length] === 'fault';
  }

  /** Whether what is said of the dice can be. */
  #mayHit({ rule, appliedAt }: Placed, request: Request, now: number, hit: boolean): boolean {
    const { percentage, sticky } = rule.fault;
    const share = typeof percentage === 'number' ? percentage : alongRamp(percentage.ramp, now - appliedAt);
    if (sticky !== undefined) {
      const value = sticky.header === undefined ? cookieValue(request, sticky.cookie ?? '') : headerValue(request, sticky.header);
      return value === undefined ? !hit : this.#dice.agree(value, sticky.seed, share, hit);
    }
    if (share === 0) return !hit;
    return share < 100 || hit;
  }

  /** The counts begin anew with each apply. */
  #countsOf({ name, appliedAt }: Placed): Counts {
    const key = `${name} ${appliedAt}`;
    const counts = this.#counts.get(key) ?? { matches: 0, hits: 0 };
    this.#counts.set(key, counts);
    return counts;
  }
}

/** @param passed milliseconds since the apply */
function alongRamp({ from, to, over }: { from: number; to: number; over: string }, passed: number): number {
  const [, amount = '', unit = ''] = /^([0-9.]+)(ms|s|m|h)$/.exec(over) ?? [];
  const whole = Number(amount) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h'];
  if (passed <= 0) return from;
  return passed >= whole ? to : from + ((to - from) * passed) / whole;
}

function selected(policy: Policy, proxy: ProxyPlace): boolean {
  if (proxy.labels['hfi.dev/faults'] === 'disabled') return false;
  const { namespace, service, workload, labels } = policy.spec.selector;
  const canonical =
    proxy.labels['service.istio.io/canonical-name'] || proxy.labels['app.kubernetes.io/name'] || proxy.labels.app || proxy.workload;
  const any = (wanted: string | undefined, actual: string): boolean => wanted === undefined || wanted === '*' || wanted === actual;
  if (!any(namespace, proxy.namespace) || !any(service, canonical) || !any(workload, proxy.workload)) return false;
  return Object.entries(labels ?? {}).every(([key, value]) => key in proxy.labels && any(value, proxy.labels[key] ?? ''));
}
