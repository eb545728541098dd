import { Flags } from '@oclif/core';
import { NO_SEAL } from '../../../services/audit/seal.ts';
import { type AuditQuery, allEntries, auditFilters, auditQuery, chainByNow } from '../../audit-query.ts';
import { HfiCommand } from '../../base.ts';
import type { Client } from '../../client.ts';
import type { ChainLine } from '../../verify-audit.ts';

export default class AuditExport extends HfiCommand {
  static override summary = 'Write the audit as JSON Lines: one entry a line, on standard output.';
  static override description =
    'Reads page after page, so that an audit of any length can be written. With --seals the chain comes first, and the file can be checked at any time later: hfi audit verify -f FILE.';
  static override examples = [
    { description: 'Everything, for the archive', command: '<%= config.bin %> audit export --order oldest --seals > audit.jsonl' },
    {
      description: 'Who deleted what today',
      command: "<%= config.bin %> audit export --action delete --since 24h | jq -r '[.time, .actor.name, .policy] | @tsv'",
    },
  ];
  static override flags = {
    order: Flags.option({ options: ['newest', 'oldest'] as const, default: 'newest' as const })({
      description: 'Newest first, by their times, or oldest first, in the order in which they were written.',
    }),
    ...auditFilters,
    seals: Flags.boolean({
      default: false,
      exclusive: Object.keys(auditFilters),
      description: 'With the chain, so that the file can be verified. For the whole audit only.',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(AuditExport);
    this.use(flags);
    const client = this.client(flags);
    endWithReader();
    const query = { ...auditQuery(flags), order: flags.order };
    const count = flags.seals ? await this.withSeals(client, query) : await this.entries(client, query, Number.POSITIVE_INFINITY);
    this.note(`${count} ${count === 1 ? 'entry' : 'entries'} written`);
  }

  /** What is not sealed yet is left out: the lines are complete up to the head, and nothing is in them that can't be checked. */
  private async withSeals(client: Client, query: AuditQuery): Promise<number> {
    const { items, anchor } = await chainByNow(client);
    await this.line({ anchor });
    for (const seal of items) await this.line({ seal });
    const newest = items
      .flatMap(({ entries }) => entries)
      .reduce((most, { resourceVersion }) => Math.max(most, Number(resourceVersion)), 0);
    const count = await this.entries(client, query, newest);
    const { sequence = 0, hash = NO_SEAL } = items.at(-1) ?? anchor ?? {};
    await this.line({ head: { sequence, hash } });
    return count;
  }

  private async entries(client: Client, query: AuditQuery, newest: number): Promise<number> {
    let count = 0;
    for await (const entry of allEntries(client, query)) {
      if (Number(entry.resourceVersion) > newest) continue;
      await this.line(entry);
      count++;
    }
    return count;
  }

  /** Waits when the reader is slower. */
  private async line(value: ChainLine | object): Promise<void> {
    if (process.stdout.write(`${JSON.stringify(value)}\n`)) return;
    await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}

/** `| head` has read enough: that is no failure. */
function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
