import { Args, Flags } from '@oclif/core';
import { HfiCommand } from '../../base.ts';
import { clusterPlace, SYSTEM_NAMESPACE } from '../../cluster/flags.ts';
import { type Context, readContexts, readSecret, writeContexts } from '../../contexts.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';

export default class ContextAdd extends HfiCommand {
  static override summary = 'Add a control plane to the contexts and use it.';
  static override description =
    'With --stack or --kube, hfi reaches the control plane through the Kubernetes API, with what your kubeconfig says: it opens a connection for each command and closes it.';
  static override examples = [
    { description: 'The stack that pulumi up installed, in its folder', command: '<%= config.bin %> context add --stack dev' },
    {
      description: 'What is installed in the current cluster, for who may read its Secrets',
      command: '<%= config.bin %> context add --kube',
    },
    {
      description: 'By its address, with the token from the variable HFI_TOKEN',
      command: 'HFI_TOKEN=$(cat token) <%= config.bin %> context add staging --url https://hfi.staging.example',
    },
  ];
  static override args = {
    name: Args.string({ description: "The context's name; that of the stack or of the cluster's context if not given." }),
  };
  static override flags = {
    url: Flags.string({ exactlyOne: ['url', 'stack', 'kube'], helpValue: 'URL', description: 'Address of the control plane.' }),
    stack: Flags.string({
      helpValue: 'NAME',
      description: "The Pulumi stack: its outputs say everything (needs pulumi, and the stack's passphrase).",
    }),
    kube: Flags.boolean({ description: 'Find it in the cluster; its administrator token is read from its Secret.' }),
    ...clusterPlace,
    'system-namespace': SYSTEM_NAMESPACE,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ContextAdd);
    this.use(flags);
    const place = { context: flags['kube-context'], kubeconfig: flags.kubeconfig };
    const found = await this.find(flags, place);
    const name = args.name ?? found.name;
    if (name === undefined) throw new Failure('A context with --url needs a name: hfi context add NAME --url URL', EXIT.usage);
    const { contexts } = readContexts();
    const result = Object.hasOwn(contexts, name) ? 'configured' : 'created';
    writeContexts({ current: name, contexts: { ...contexts, [name]: found.context } });
    if (this.format === 'table') this.say(`context/${name} ${result}`);
    else await this.printValue({ name, result });
  }

  private async find(
    flags: {
      url?: string | undefined;
      stack?: string | undefined;
      token?: string | undefined;
      'token-file'?: string | undefined;
      'system-namespace': string;
    },
    place: { context: string | undefined; kubeconfig: string | undefined },
  ): Promise<{ name?: string | undefined; context: Context }> {
    if (flags.stack !== undefined) {
      const { contextOfStack } = await import('../../cluster/pulumi-stack.ts');
      return { name: flags.stack.split('/').at(-1), context: contextOfStack(flags.stack, place) };
    }
    if (flags.url === undefined) {
      const { contextInCluster } = await import('../../cluster/installed.ts');
      return contextInCluster({ ...place, namespace: flags['system-namespace'] });
    }
    if (!/^https?:\/\//.test(flags.url) || !URL.canParse(flags.url)) {
      throw new Failure(`--url is "${flags.url}"; it must be a URL such as https://hfi.example.`, EXIT.usage);
    }
    const token = flags['token-file'] === undefined ? flags.token?.trim() : readSecret(flags['token-file'])?.trim();
    if (token === undefined || token === '') throw new Failure('A context needs a token: set HFI_TOKEN or use --token-file.', EXIT.usage);
    return { context: { url: flags.url, token } };
  }
}
