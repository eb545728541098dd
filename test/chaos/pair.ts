import { Replica } from '../support/control-plane.ts';
import type { Processes } from '../support/processes.ts';

/** Nothing that was written leaves while it is judged. */
const KEEP_EVERYTHING = { HFI_AUDIT_KEEP_ENTRIES: '0', HFI_AUDIT_KEEP_DAYS: '0', HFI_HISTORY_KEEP_RUNS: '0', HFI_HISTORY_KEEP_DAYS: '0' };

/** Two replicas that come back at the same address when they were killed. */
export class Pair {
  readonly #processes: Processes;
  readonly #etcdUrls: readonly [string, string];
  readonly replicas: [Replica, Replica];

  private constructor(processes: Processes, etcdUrls: readonly [string, string], replicas: [Replica, Replica]) {
    this.#processes = processes;
    this.#etcdUrls = etcdUrls;
    this.replicas = replicas;
  }

  /** @param other where the second one finds etcd, if it is elsewhere */
  static async start(processes: Processes, etcdUrl: string, other = etcdUrl): Promise<Pair> {
    const start = (replica: string, url: string) => Replica.start(processes, url, { replica, env: KEEP_EVERYTHING });
    return new Pair(processes, [etcdUrl, other], await Promise.all([start('one', etcdUrl), start('two', other)]));
  }

  /** One of the two, whether it runs or not. */
  any(): Replica {
    return this.replicas[Math.random() < 0.5 ? 0 : 1];
  }

  /** Kills one and starts it again. */
  async replace(which: 0 | 1): Promise<void> {
    const old = this.replicas[which];
    await old.kill('SIGKILL');
    this.replicas[which] = await Replica.start(this.#processes, this.#etcdUrls[which], {
      replica: which === 0 ? 'one' : 'two',
      port: old.port,
      env: KEEP_EVERYTHING,
    });
  }
}
