import { runBench } from '../command.ts';
import { applyRows } from './apply.ts';
import { haltRows } from './halt.ts';
import { idleRows } from './idle.ts';
import { reconnectRows } from './reconnect.ts';

/** `npm run bench:fleet`: many simulated proxies that speak the real protocol to a real control plane with a real etcd. */
await runBench('bench:fleet', {
  halt: haltRows,
  apply: applyRows,
  idle: idleRows,
  reconnect: reconnectRows,
});
