import { Flags } from '@oclif/core';
import { HfiCommand } from '../base.ts';
import { taken } from '../client.ts';
import { confirm } from '../confirm.ts';
import { haltInWords, whatIsHalted } from '../halts.ts';

export default class Resume extends HfiCommand {
  static override summary = 'Lift a halt: the policies in force inject again. Only an admin may.';
  static override description =
    'Without --namespace it lifts the halt of everything; halts of single namespaces stay. Resuming what is not halted changes nothing.';
  static override examples = [
    { description: 'Go on', command: '<%= config.bin %> resume' },
    { description: 'Go on in one namespace, without a question', command: '<%= config.bin %> resume --namespace demo --yes' },
  ];
  static override flags = {
    namespace: Flags.string({ char: 'n', helpValue: 'NAME', description: 'Lift the halt of this namespace.' }),
    yes: Flags.boolean({ char: 'y', default: false, description: "Don't ask. Needed when there is no terminal." }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Resume);
    this.use(flags);
    const client = this.client(flags);
    const query = flags.namespace === undefined ? {} : { namespace: flags.namespace };
    if (!flags.yes) {
      const { halts } = await taken(await client.v1.halt.$get());
      const halt = halts.find(({ namespace }) => namespace === (flags.namespace ?? null));
      if (halt !== undefined) {
        this.note(`halted: ${haltInWords(halt)}`);
        const text = `Let the policies in force inject again (${whatIsHalted(halt)})?`;
        await confirm({ text, flag: '--yes to resume', refused: 'Nothing was resumed.' });
      }
    }
    const resumed = await taken(await client.v1.halt.$delete({ query }));
    if (this.format !== 'table') return this.printValue(resumed);
    const what = whatIsHalted({ namespace: flags.namespace ?? null });
    this.say(resumed.result === 'resumed' ? `resumed: ${what}` : `not halted: ${what}`);
    for (const halt of resumed.halts) this.note(`still halted: ${haltInWords(halt)}`);
  }
}
