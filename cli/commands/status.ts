import { HfiCommand } from '../base.ts';
import { taken } from '../client.ts';
import { EXIT } from '../exit-codes.ts';
import { haltInWords, resumeCommand } from '../halts.ts';
import { isUnwell, troubleOf } from '../trouble.ts';

export default class Status extends HfiCommand {
  static override summary = 'Show on one screen how everything is.';
  static override examples = [{ description: 'Is all well?', command: '<%= config.bin %> status' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    this.use(flags);
    const client = this.client(flags);
    const [status, proxies] = await Promise.all([
      client.v1.status.$get({ query: {} }).then((answer) => taken(answer)),
      client.v1.proxies.$get({ query: {} }).then((answer) => taken(answer)),
    ]);
    if (proxies.items.some(isUnwell)) process.exitCode = EXIT.refused;
    if (!status.etcd.reachable) process.exitCode = EXIT.noServer;
    if (this.format !== 'table') return this.printValue({ ...status, url: this.target(flags).url, items: proxies.items });
    const { etcd, policies } = status;
    this.say(`Control plane  ${this.target(flags).url}, version ${status.version}, replica ${status.replica}`);
    this.say(
      `etcd           ${etcd.reachable ? `answers, revision ${etcd.revision}` : 'DOES NOT ANSWER: changes are refused until it does'}`,
    );
    for (const halt of status.halts) this.say(`HALTED         ${haltInWords(halt)}; ${resumeCommand(halt)} lets it go on`);
    this.say(`Policies       ${policies.active} active, ${policies.ended} ended`);
    this.say(`Proxies        ${status.proxies.connected} connected, ${status.proxies.current} run what they should`);
    for (const proxy of proxies.items) {
      const trouble = troubleOf(proxy);
      if (trouble !== undefined) this.say(`  ${proxy.name}: ${trouble}`);
      else if (proxy.pollFailures > 0) this.say(`  ${proxy.name}: well now; ${proxy.pollFailures} polls failed since it started`);
    }
    if (status.incomplete.length > 0) this.note(`warning: could not ask replica ${status.incomplete.join(', ')}`);
  }
}
