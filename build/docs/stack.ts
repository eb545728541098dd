import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { stackSchema } from '../../components/config.ts';
import { images } from '../../components/images.ts';
import { generatedFrom, table } from './markdown.ts';
import type { JsonSchema } from './schema.ts';
import { sectionsOf } from './schema-tables.ts';

const NOTES = new URL('stack-notes.md', import.meta.url);

/** What the program gives back, by its name in `index.ts`. A test compares them. */
export const OUTPUTS: Readonly<Record<string, { readonly secret: boolean; readonly says: string }>> = {
  version: { secret: false, says: "HFI's version." },
  namespaces: { secret: false, says: '`system`: HFI’s own; `mesh`: those whose sidecars have the filter; `demo`: the demo’s, or null.' },
  controlPlaneEndpoint: {
    secret: false,
    says: "The control plane's address inside the cluster; `hfi` reaches it through the Kubernetes API.",
  },
  apiToken: { secret: true, says: "The administrator's token." },
  tokens: { secret: true, says: '`editor` may change policies and halt, `viewer` may only look.' },
  auditKey: { secret: true, says: 'Signs the audit; `hfi audit verify --key-file` checks with it.' },
  wasmUrl: { secret: false, says: 'Where the sidecars fetch the filter.' },
  wasmSha256: { secret: false, says: 'The SHA-256 of the filter.' },
  etcdEndpoints: { secret: false, says: "Where the control plane's state is." },
};

/** `docs/reference/stack.md`: the configuration, from its schema, the outputs, and what no table shows. */
export function stackPage(): string {
  const schema = z.toJSONSchema(stackSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const outputs = Object.entries(OUTPUTS).map(([name, { secret, says }]) => [`\`${name}\``, secret ? 'secret' : '', says]);
  return `${[
    generatedFrom('`components/config.ts` and `build/docs/stack-notes.md`'),
    '# Stack reference',
    'What `pulumi config set` may say: `pulumi config set --path mesh.lease 30s`, or a line in `Pulumi.<stack>.yaml`. A key that is not here, and a value that is not allowed, ends `pulumi preview` with the nearest that is. `Pulumi.dev.yaml` and `Pulumi.prod.yaml` are examples.',
    ...sectionsOf(schema, 'The configuration'),
    '## Outputs',
    table(['output', '', 'what it says'], outputs),
    notes(),
  ].join('\n\n')}\n`;
}

/** The hand-written part; `{{name}}` stands for an image. */
function notes(): string {
  return readFileSync(NOTES, 'utf8')
    .trim()
    .replaceAll(/\{\{(\w+)\}\}/g, (_whole, name: string) => {
      const image = Object.entries(images).find(([key]) => key === name)?.[1];
      if (image === undefined) throw new Error(`stack-notes.md names the image ${name}, which components/images.ts doesn't have`);
      return image;
    });
}
