import type { Stream } from '../../filter/host/abi.ts';
import { pairs } from '../../filter/host/header-pairs.ts';
import type { Envoy } from '../filter/envoy.ts';
import type { Dice } from './dice.ts';
import { damaged } from './rulesets.ts';

const HOLD_HEAD = 4;
const HOLD_PIECE = 2;

/** Exchanges in any order that a host could have them, some with headers that none would. */

const VALUES = [
  '',
  '/',
  '/a',
  '/ab/12',
  '/a?q=%C3%A9&q=1#x',
  '?&x&%71=%&#?&',
  '/s.S/m',
  'GET',
  'z',
  'abcZ',
  'c=x; d="y"; =; c',
  'application/grpc',
  'é',
  'x'.repeat(300),
];
const NAMES = [':path', ':method', ':authority', 'x-a', 'x-b', 'cookie', 'content-type', 'user-agent', 'upgrade', 'content-length', 'x-c'];

function headers(dice: Dice): Uint8Array {
  const list = Array.from({ length: dice.below(12) }, (): [string, string] => [dice.pick(NAMES), dice.pick(VALUES)]);
  const bytes = pairs([[':method', 'GET'], [':path', dice.pick(VALUES)], ...list]);
  return dice.oneIn(6) ? damaged(bytes, dice) : bytes;
}

/** Moves a stream one step on. @returns whether there is more to come */
type Step = () => boolean;

interface Running {
  readonly stream: Stream;
  readonly step: Step;
  /** How often the filter held the request, and the response. */
  readonly holds: { request: number; response: number };
}

function exchange(envoy: Envoy, dice: Dice): Running {
  const stream = envoy.vm.request(envoy.root, headers(dice), dice.oneIn(2));
  let stage = 0;
  const holds = { request: stream.action === HOLD_HEAD ? 1 : 0, response: 0 };
  const held = (action: number): number => (action === HOLD_HEAD || action === HOLD_PIECE ? 1 : 0);
  const piece = (): Uint8Array => new Uint8Array(dice.pick([0, 0, 1, 3, 10, 5000])).fill(97);
  const step: Step = () => {
    if (stream.replies.length > 0 || stream.reset || stage > 3) return false;
    if (stream.action === HOLD_HEAD && stream.continued === 0) return true;
    const on = dice.oneIn(2);
    if (stage === 0) holds.request += held(envoy.vm.requestBody(stream, piece(), on));
    else if (stage === 1) {
      const head: [string, string][] = [
        [':status', dice.pick(['200', '206', '101', '', 'x'])],
        ['content-length', dice.pick(VALUES)],
      ];
      holds.response += held(envoy.vm.response(stream, head, dice.oneIn(3)));
    } else if (stage === 2) holds.response += held(envoy.vm.responseBody(stream, piece(), on));
    else envoy.vm.trailers(stream, [['grpc-status', '0']]);
    if (on || stage === 1 || stage === 3) stage++;
    return true;
  };
  return { stream, step, holds };
}

/** What is wrong with a stream, if anything is. */
function fault({ stream, holds }: Running): string | undefined {
  if (stream.replies.length > 1) return 'two answers to one request';
  if (stream.replies.length > 0 && stream.reset) return 'an answer and a reset';
  if (stream.continued > holds.request || stream.continuedResponse > holds.response) return 'let go on more often than it was held';
  return undefined;
}

/** Runs some requests side by side. @throws Error that says what must never happen and did */
export function drive(envoy: Envoy, dice: Dice): void {
  const running = Array.from({ length: 1 + dice.below(5) }, () => exchange(envoy, dice));
  for (let left = 4 + dice.below(20); left > 0; left--) {
    if (dice.oneIn(3)) envoy.process.advance(dice.pick([1, 2, 5, 20, 200]));
    const one = dice.pick(running);
    if (!one.stream.ended && (!one.step() || dice.oneIn(12))) envoy.vm.end(one.stream);
  }
  for (const one of running) {
    const { stream } = one;
    const wrong = fault(one);
    if (wrong !== undefined) throw new Error(wrong);
    if (!stream.ended) envoy.vm.end(stream);
  }
  const left = envoy.metric('requests_delayed');
  if (left !== 0) throw new Error(`${left} requests are held and none is there`);
}
