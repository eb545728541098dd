import assert from 'node:assert/strict';
import { Events, type Happening } from '../../services/control-plane/events/events.ts';
import { FleetEvents } from '../../services/control-plane/events/fleet-events.ts';
import { HandDrivenRuntime } from '../support/hand-driven-runtime.ts';

const fleet = (connected: number, current = connected): Happening => ({ type: 'fleet', connected, current });

describe('events', () => {
  it('are numbered from 1, and told to those who wait', async () => {
    const events = new Events(() => 5);
    const waiting = events.next(0, new AbortController().signal);
    events.tell(fleet(1));
    await waiting;
    assert.deepEqual(events.after(0), { events: [{ type: 'fleet', connected: 1, current: 1, number: 1, time: 5 }], missed: false });
    assert.deepEqual(events.after(1), { events: [], missed: false });
  });

  it('of which there were more than are kept are missed, and those that are kept still come', () => {
    const events = new Events(() => 0);
    for (let i = 0; i < 1200; i++) events.tell(fleet(i));
    const { events: kept, missed } = events.after(100);
    assert.deepEqual([kept.length, kept[0]?.number, kept.at(-1)?.number, missed], [1000, 201, 1200, true]);
    assert.equal(events.after(200).missed, false);
  });

  it('are not waited for when nobody listens any more', async () => {
    const events = new Events(() => 0);
    const gone = new AbortController();
    const waiting = events.next(0, gone.signal);
    gone.abort();
    await waiting;
    await events.next(0, gone.signal);
    assert.equal(events.last, 0);
  });
});

describe('events of the fleet', () => {
  function told(): { runtime: HandDrivenRuntime; events: unknown[]; fleet: FleetEvents; now: { connected: number; current: number } } {
    const runtime = new HandDrivenRuntime();
    const events: unknown[] = [];
    const now = { connected: 0, current: 0 };
    return {
      runtime,
      events,
      now,
      fleet: new FleetEvents(
        runtime,
        () => ({ ...now }),
        (event) => events.push(event),
      ),
    };
  }

  it('come at once, and then at most four a second, with the last state in the end', () => {
    const { runtime, events, now, fleet } = told();
    for (let i = 1; i <= 1000; i++) {
      now.connected = i;
      fleet.changed();
      runtime.advance(1);
    }
    assert.deepEqual(events[0], { type: 'fleet', connected: 1, current: 0 });
    assert.ok(events.length >= 4 && events.length <= 5, `${events.length} in a second`);
    runtime.advance(1000);
    assert.deepEqual(events.at(-1), { type: 'fleet', connected: 1000, current: 0 });
  });

  it('do not come when nothing is different', () => {
    const { runtime, events, fleet } = told();
    fleet.changed();
    runtime.advance(1000);
    assert.deepEqual(events, []);
  });
});
