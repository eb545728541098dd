import { Args, Flags } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { readContexts, readSecret, writeContexts } from '../../contexts.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';

export default class ContextAdd extends HfiCommand {
  static override summary = 'Add a control plane to the contexts and use it.';
  static override examples = [
    {
      description: 'With the token from the variable HFI_TOKEN',
      command: 'HFI_TOKEN=$(cat token) <%= config.bin %> context add staging --url https://hfi.staging.example',
    },
    {
      description: 'With a token file',
      command: '<%= config.bin %> context add staging --url https://hfi.staging.example --token-file token',
    },
  ];
  static override args = { name: Args.string({ required: true, description: "The context's name." }) };
  static override flags = { url: Flags.string({ required: true, helpValue: 'URL', description: 'Address of the control plane.' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ContextAdd);
    this.use(flags);
    if (!/^https?:\/\//.test(flags.url) || !URL.canParse(flags.url)) {
      throw new Failure(`--url is "${flags.url}"; it must be a URL such as https://hfi.example.`, EXIT.usage);
    }
    const token = flags['token-file'] === undefined ? flags.token : readSecret(flags['token-file'])?.trim();
    if (token === undefined || token === '') throw new Failure('A context needs a token: set HFI_TOKEN or use --token-file.', EXIT.usage);
    const { contexts } = readContexts();
    const result = Object.hasOwn(contexts, args.name) ? 'configured' : 'created';
    writeContexts({ current: args.name, contexts: { ...contexts, [args.name]: { url: flags.url, token } } });
    if (this.format === 'table') this.say(`context/${args.name} ${result}`);
    else await this.printValue({ name: args.name, result });
  }
}
