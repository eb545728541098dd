import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';

const ROOT = new URL('../../', import.meta.url);

/** What the program asks the engine for. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: the inputs of any resource.
  readonly inputs: any;
}

export interface Program {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly registered: readonly Registered[];
}

/** Credentials as the engine would give them back, each with a text that nothing else has. */
export const MADE = {
  tokens: Object.fromEntries(
    ['admin', 'editor', 'viewer', 'proxy'].map((role) => [role, { current: `SECRET-${role}-now`, previous: `SECRET-${role}-before` }]),
  ),
  authority: { certificate: 'ca certificate', key: 'SECRET-authority-key' },
  etcdServer: { certificate: 'server certificate', key: 'SECRET-server-key' },
  etcdClient: { certificate: 'client certificate', key: 'SECRET-client-key' },
  auditKey: 'SECRET-audit-key',
  endsAt: 0,
};

let runs = 0;

/**
 * Runs a program afresh, as the engine would in a preview, with a monitor that records what it asks for. No cluster is there.
 *
 * @param program its address; HFI's own when missing
 */
export async function runProgram(config: Record<string, string>, program = new URL('index.ts', ROOT).href): Promise<Program> {
  const kubeconfig = join(tmpdir(), 'hfi-no-cluster.yaml');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:65535' } }],
      contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
      users: [{ name: 'none' }],
      'current-context': 'none',
    }),
  );
  process.env.KUBECONFIG = kubeconfig;
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name, inputs });
        const made = name === 'credentials' ? MADE : {};
        const metadata =
          inputs.metadata === undefined ? {} : { metadata: { ...inputs.metadata, name: inputs.metadata.name ?? `${name}-1a2b3c` } };
        return { id: `${name}-id`, state: { ...inputs, ...metadata, ...made } };
      },
      call: ({ inputs }) => inputs,
    },
    'hfi',
    'test',
    true,
  );
  pulumi.runtime.setAllConfig(config);
  // A module runs once an address; the query makes it a new one.
  const exports: Record<string, unknown> = await import(`${program}?run=${runs++}`);
  // Resources are registered in the background; this is the end of the last one.
  await pulumi.runtime.disconnect();
  return { exports, registered };
}

/** An output's value. */
export function settled<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}
