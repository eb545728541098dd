import { readFileSync } from 'node:fs';

/**
 * Loaded into a replica before its program (`node --import`): its wall clock is off by as many milliseconds as the file `CHAOS_CLOCK` says, and jumps
 * when that changes. The monotonic clock and the timers go on, as when somebody sets a machine's clock. The program itself knows nothing of it.
 */
const LOOK_MS = 10;
const RealDate = Date;
let offset = 0;

function look(): void {
  offset = Number(readFileSync(process.env.CHAOS_CLOCK ?? '', 'utf8'));
}

look();
setInterval(look, LOOK_MS).unref();

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [], made) => Reflect.construct(target, args.length === 0 ? [target.now() + offset] : args, made),
  apply: (target) => new target(target.now() + offset).toString(),
  get: (target, name, receiver) => (name === 'now' ? () => target.now() + offset : Reflect.get(target, name, receiver)),
});
