import { Flags } from '@oclif/core';
import { stringify } from 'yaml';
import { SandboxCommand } from '../../sandbox/command.ts';
import { statusOf } from '../../sandbox/state.ts';

export default class Status extends SandboxCommand {
  static override summary = 'Show what of the sandbox runs; exit code 3 while it is not fully up.';
  static override examples = ['<%= config.bin %> sandbox status', '<%= config.bin %> sandbox status -o json'];
  static override flags = {
    output: Flags.string({ char: 'o', options: ['table', 'json', 'yaml'], default: 'table' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    const status = await statusOf(this.requireState());
    if (flags.output === 'json') this.log(JSON.stringify(status, null, 2));
    else if (flags.output === 'yaml') this.log(stringify(status).trimEnd());
    else {
      const urls: Record<string, string> = { etcd: status.etcd.url, 'control-plane': status.controlPlane.url };
      for (const proxy of status.proxies) urls[`${proxy.name}-proxy`] = proxy.inboundUrl;
      for (const { name, state, pid, ended } of status.parts) {
        this.log(`${name.padEnd(16)} ${state.padEnd(9)} ${String(pid ?? ended ?? '-').padEnd(8)} ${urls[name] ?? ''}`.trimEnd());
      }
    }
    if (!status.up) this.exit(3);
  }
}
