import { provider as contract } from '@pulumi/pulumi';
import { provider } from './provider.ts';

/** `pulumi-resource-kubernetes`, as the engine starts it. */
await contract.main(provider, process.argv.slice(2));
