import { Flags } from '@oclif/core';
import { durationMs, HfiCommand } from '../base.ts';
import { Refusal, taken } from '../client.ts';
import { asLines, type PolicyDocument, readDocuments } from '../documents.ts';
import { EXIT } from '../exit-codes.ts';
import { explanationInWords } from '../explanation.ts';
import { Failure } from '../failure.ts';

const REQUEST = 'REQUEST';
const PROXY = 'PROXY';

export default class Explain extends HfiCommand {
  static override summary = 'Tell whether a request would be faulted, by which rule, and why not by the others.';
  static override description =
    'The control plane asks the very module that the proxies run; nothing is changed and nothing is drawn. Without -f it is about the policies in force; with it, about what would be in force if the files were applied now. The exit code is 0 with or without a fault: the verdict is in the first line, and in `verdict` of -o json.';
  static override examples = [
    {
      description: 'Why is this request faulted, or not?',
      command: "<%= config.bin %> explain --proxy frontend-v1-0.demo --method GET --path /api -H 'x-user: test'",
    },
    {
      description: 'What would a file do, if it were applied now?',
      command: '<%= config.bin %> explain -f examples/abort-policy.yaml --namespace demo --service frontend',
    },
  ];
  static override flags = {
    filename: Flags.string({
      char: 'f',
      multiple: true,
      helpValue: 'FILE|DIR|URL|-',
      description: 'Policies to look at beside those in force, in place of those of the same name; may be given several times.',
    }),
    recursive: Flags.boolean({ char: 'R', default: false, description: 'Read folders in folders too.' }),
    method: Flags.string({ default: 'GET', helpGroup: REQUEST, description: 'Its method.' }),
    path: Flags.string({ default: '/', helpGroup: REQUEST, description: 'Its path, with the query.' }),
    header: Flags.string({
      char: 'H',
      multiple: true,
      helpValue: "'NAME: VALUE'",
      helpGroup: REQUEST,
      description: 'A header; may be given several times.',
    }),
    authority: Flags.string({
      helpValue: 'HOST',
      helpGroup: REQUEST,
      description: 'The host that it is for; else the header host, else the service.',
    }),
    source: Flags.string({ helpValue: 'SPIFFE-ID', helpGroup: REQUEST, description: "The caller's identity, the URI of its certificate." }),
    caller: Flags.string({
      multiple: true,
      helpValue: 'NAME=VALUE',
      helpGroup: REQUEST,
      description: "What the caller's sidecar says of it: workload, service, version, or a label; may be given several times.",
    }),
    port: Flags.integer({ min: 1, max: 65_535, helpGroup: REQUEST, description: 'The port at which it arrives.' }),
    cluster: Flags.string({ helpGroup: REQUEST, description: 'The Envoy cluster to which it is routed.' }),
    direction: Flags.option({ options: ['inbound', 'outbound'] as const, default: 'inbound' as const, helpGroup: REQUEST })({
      description: 'Whether it arrives at the workload, or is sent by it.',
    }),
    proxy: Flags.string({
      helpGroup: PROXY,
      exactlyOne: ['proxy', 'namespace'],
      description: 'A connected proxy, as hfi proxy list shows it, or its pod.',
    }),
    namespace: Flags.string({ helpGroup: PROXY, description: 'In place of a connected proxy: the namespace of one.' }),
    service: Flags.string({ helpGroup: PROXY, dependsOn: ['namespace'], description: 'Its canonical service.' }),
    workload: Flags.string({ helpGroup: PROXY, dependsOn: ['namespace'], description: 'Its workload, such as the Deployment.' }),
    label: Flags.string({
      char: 'l',
      multiple: true,
      helpValue: 'KEY=VALUE',
      helpGroup: PROXY,
      dependsOn: ['namespace'],
      description: 'A label of its pod; may be given several times.',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Explain);
    this.use(flags);
    const { method, path, authority, source, port, cluster, direction } = flags;
    const client = this.client(flags);
    const { documents, wrong } = await readDocuments(flags.filename ?? [], flags.recursive, durationMs('timeout', flags.timeout));
    if (wrong.length > 0) throw new Failure(`not valid:\n${asLines(wrong)}`, EXIT.refused);
    const { workload, service, version, ...labels } = pairs('caller', flags.caller);
    const peer = flags.caller === undefined ? undefined : { workload, service, version, labels };
    const request = { method, path, headers: (flags.header ?? []).map(headerOf), authority, source, peer, port, cluster };
    const proxy = flags.proxy ?? {
      namespace: flags.namespace ?? '',
      service: flags.service,
      workload: flags.workload,
      labels: pairs('label', flags.label),
    };
    const json = { request, proxy, direction, policies: documents.map(({ value }) => value) };
    const asked = { headers: { 'content-type': 'application/json' } };
    const explanation = await client.v1.explain
      .$post({ json: json as never }, asked)
      .then((answer) => taken(answer))
      .catch((error: unknown) => {
        throw placed(error, documents);
      });
    const { version: wanted, running } = explanation.ruleset;
    if (documents.length === 0 && wanted !== null && running !== null && running !== wanted) {
      this.note(`warning: the proxy does not run these policies yet (hfi proxy list shows what it runs)`);
    }
    if (this.format !== 'table') return this.printValue(explanation);
    for (const line of explanationInWords(explanation, `${method} ${path}`)) this.say(line);
  }
}

/** `NAME: VALUE`, as curl takes it. */
function headerOf(text: string): [string, string] {
  const [, name, value] = /^([^:\s]+):[ \t]*(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new Failure(`--header is "${text}"; write 'NAME: VALUE', such as 'x-user: test'.`, EXIT.usage);
  return [name, value];
}

function pairs(flag: string, texts: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined)
        throw new Failure(`--${flag} is "${text}"; write NAME=VALUE, such as app=web.`, EXIT.usage);
      return [name, value];
    }),
  );
}

/** What is wrong with a policy is told at its line and column. */
function placed(error: unknown, documents: readonly PolicyDocument[]): unknown {
  if (!(error instanceof Refusal) || !error.errors.some(({ path }) => path.startsWith('policies['))) return error;
  const lines = error.errors.map(({ path, message, nearest }) => {
    const [, place, inner = ''] = /^policies\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    const document = documents[Number(place)];
    const hint = nearest === undefined ? '' : ` (did you mean ${nearest}?)`;
    if (document === undefined) return `${path}: ${message}${hint}`;
    const { line, column } = document.position(inner);
    return `${document.source}:${line}:${column}: ${inner || 'the document'}: ${message}${hint}`;
  });
  return new Failure(`not valid:\n${asLines(lines)}`, EXIT.refused);
}
