import type { PolicyInput } from '../../services/policy/schema.ts';
import type { Answer } from '../support/load.ts';

/** What the soak does to requests, and how its client tells that it was done. */

type Fault = PolicyInput['spec']['rules'][number]['fault'];

export interface Kind {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fault: Fault;
  /** Whether this answer was faulted; undefined when it is neither that nor the service's own. */
  readonly tell: (answer: Answer) => boolean | undefined;
  /** The counters, by the middle of their names, that a faulted request moves. */
  readonly counters: readonly string[];
  /** The share of the requests that are hit goes to and fro between these, in percent. */
  readonly shares: readonly [number, number];
}

export const SERVICE_BODY = 'upstream';

/** The service answers every other request of this path so. */
export const MISSING = { path: '/missing', status: 404 };

const isOwn = ({ status, body, headers }: Answer): boolean =>
  (status === 200 || status === MISSING.status) && body === SERVICE_BODY && headers['x-hfi-fault'] === undefined;

/** A fault that an answer shows by itself; anything but it and the service's own is an error that nobody asked for. */
const shows =
  (is: (answer: Answer) => boolean) =>
  (answer: Answer): boolean | undefined =>
    is(answer) ? true : isOwn(answer) ? false : undefined;

const isMarked = ({ headers }: Answer): boolean => headers['x-hfi-fault']?.toString().startsWith('soak/') === true;

export const KINDS: readonly Kind[] = [
  {
    path: '/abort',
    fault: { abort: { httpStatus: 503, body: '{{path}}' } },
    tell: shows((answer) => answer.status === 503 && answer.body === '/abort' && isMarked(answer)),
    counters: ['aborts'],
    shares: [30, 70],
  },
  {
    path: '/delayed-abort',
    fault: { delay: { fixed_delay: '3ms' }, abort: { httpStatus: 504 } },
    tell: shows((answer) => answer.status === 504 && answer.ms >= 3 && isMarked(answer)),
    counters: ['aborts', 'delays'],
    shares: [20, 60],
  },
  {
    path: '/late',
    fault: { abort: { httpStatus: 500, body: 'late', at: 'response' } },
    tell: shows((answer) => answer.status === 500 && answer.body === 'late' && isMarked(answer)),
    counters: ['aborts'],
    shares: [10, 90],
  },
  {
    path: '/delay',
    fault: { delay: { uniform: { min: '1ms', max: '10ms' } }, response: { headers: { set: { 'x-delayed': '1' } } } },
    tell: shows((answer) => answer.status === 200 && answer.headers['x-delayed'] === '1' && answer.ms >= 1 && answer.body === SERVICE_BODY),
    counters: ['delays', 'response_changes'],
    shares: [40, 60],
  },
  {
    path: '/answer',
    fault: { response: { status: 418, body: 'x'.repeat(10_000) } },
    tell: shows((answer) => answer.status === 418 && answer.body.length === 10_000 && isMarked(answer)),
    counters: ['response_changes'],
    shares: [20, 80],
  },
  {
    path: '/short',
    fault: { response: { truncate: { bytes: 3, end: 'clean' } } },
    tell: shows((answer) => answer.status === 200 && answer.body === 'ups' && isMarked(answer)),
    counters: ['response_changes'],
    shares: [20, 80],
  },
  {
    path: '/request',
    fault: { request: { headers: { set: { 'x-soak': 'changed' } } } },
    tell: (answer) => (isOwn(answer) ? answer.headers['x-echo'] === 'changed' : undefined),
    counters: ['request_changes'],
    shares: [30, 70],
  },
  {
    path: '/reset',
    fault: { abort: { reset: true } },
    tell: shows((answer) => answer.status === 0),
    counters: ['resets'],
    shares: [0.5, 1],
  },
  {
    path: '/asked',
    headers: { 'x-delay-ms': '4' },
    fault: { delay: { header: { name: 'x-delay-ms', max: '1s' } }, request: { headers: { set: { 'x-soak': 'held' } } } },
    tell: (answer) => (isOwn(answer) ? answer.headers['x-echo'] === 'held' && (answer.ms >= 4 || undefined) : undefined),
    counters: ['delays', 'request_changes'],
    shares: [30, 70],
  },
  {
    path: '/v1/moved?a=1',
    fault: { request: { path: { prefix: '/v1', to: '/v2' }, query: { set: { b: '2' } } } },
    tell: (answer) => {
      if (!isOwn(answer)) return undefined;
      const path = answer.headers['x-path'];
      return path === '/v2/moved?a=1&b=2' ? true : path === '/v1/moved?a=1' ? false : undefined;
    },
    counters: ['request_changes'],
    shares: [20, 80],
  },
  {
    path: MISSING.path,
    fault: { response: { status: 418 }, ifStatus: MISSING.status },
    tell: shows((answer) => answer.status === 418 && answer.body === SERVICE_BODY && isMarked(answer)),
    counters: ['response_changes'],
    shares: [20, 80],
  },
  {
    path: '/damaged',
    fault: { response: { corrupt: { percentage: 100 } } },
    tell: shows((answer) => answer.status === 200 && answer.body !== SERVICE_BODY && isMarked(answer)),
    counters: ['response_changes'],
    shares: [20, 80],
  },
  {
    path: '/slow',
    fault: { response: { throttle: '2KiB/s' } },
    tell: shows((answer) => answer.status === 200 && answer.body === SERVICE_BODY && answer.ms >= 3 && isMarked(answer)),
    counters: ['response_changes'],
    shares: [20, 80],
  },
  { path: '/clean', fault: { abort: { httpStatus: 503 }, percentage: 0 }, tell: shows(() => false), counters: [], shares: [0, 0] },
];

/** The policy with all of it. @param round even and odd ones have different shares */
export function soakSpec(round: number): PolicyInput['spec'] {
  return {
    rules: KINDS.map(({ path, fault, shares }) => ({
      match: { path: { exact: path.replace(/\?.*/, '') } },
      fault: { ...fault, percentage: shares[round % 2] ?? 0 },
    })),
  };
}
