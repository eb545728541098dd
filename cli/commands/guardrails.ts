import { HfiCommand } from '../base.ts';
import { taken } from '../client.ts';
import { limitInWords } from '../guardrails.ts';

interface Row {
  readonly where: string;
  readonly guardrail: string;
  readonly limit: string;
}

export default class Guardrails extends HfiCommand {
  static override summary = 'Show what no policy may go beyond.';
  static override description =
    'Guardrails are set where the control plane is configured (docs/reference/guardrails.md). A policy that goes beyond one is refused, with the field, its value and the limit.';
  static override examples = [{ description: 'How far may a policy go?', command: '<%= config.bin %> guardrails' }];

  async run(): Promise<void> {
    const { flags } = await this.parse(Guardrails);
    this.use(flags);
    const answer = await taken(await this.client(flags).v1.guardrails.$get());
    if (!answer.configured) this.note('No guardrails are set.');
    const { namespaces, maxInjectionsPerSecond, ...general } = answer.guardrails;
    const rows: Row[] = answer.configured ? rowsOf(namespaces === undefined ? 'everywhere' : 'in each', general) : [];
    if (maxInjectionsPerSecond !== undefined) rows.push(...rowsOf('all together', { maxInjectionsPerSecond }));
    for (const [name, own] of Object.entries(namespaces ?? {})) {
      const its = rowsOf(name, own);
      rows.push(...(its.length === 0 ? [{ where: name, guardrail: '-', limit: 'allowed' }] : its));
    }
    if (namespaces !== undefined) rows.push({ where: 'elsewhere', guardrail: 'namespaces', limit: 'nothing is allowed' });
    else rows.push(...answer.system.map((where) => ({ where, guardrail: 'system', limit: 'nothing is allowed' })));
    await this.print(answer, rows, [
      { title: 'where', of: ({ where }) => where },
      { title: 'guardrail', of: ({ guardrail }) => guardrail },
      { title: 'limit', of: ({ limit }) => limit },
    ]);
  }
}

function rowsOf(where: string, limits: object): Row[] {
  return Object.entries(limits).map(([guardrail, value]: [string, unknown]) => ({ where, guardrail, limit: limitInWords(value) }));
}
