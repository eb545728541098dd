import type * as pulumi from '@pulumi/pulumi';

/*
 * Pulumi writes the code of a dynamic resource into the state and runs it elsewhere: the functions below name nothing of this module
 * but one another, and speak HTTP with Node's own `fetch`.
 */

interface Inputs {
  readonly endpoint: string;
  readonly token: string;
  readonly name: string;
  /** JSON. */
  readonly spec: string;
  /** Whether a policy that is there already is taken over. */
  readonly adopt?: boolean;
}

interface Stored {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: object;
  readonly status: { readonly endsAt: string | null };
}

async function ask(inputs: Inputs, method: string, body?: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const url = `${inputs.endpoint.replace(/\/$/, '')}/v1/policies/${encodeURIComponent(inputs.name)}`;
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${inputs.token}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: Error) => {
    const cause = (error.cause as { code?: string } | undefined)?.code ?? error.message;
    throw new Error(`The control plane at ${inputs.endpoint} can not be reached (${cause}). Is hfi port-forward running?`);
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
}

async function put(inputs: Inputs): Promise<Stored> {
  const { status, body } = await ask(inputs, 'PUT', { metadata: { name: inputs.name }, spec: JSON.parse(inputs.spec) });
  if (status >= 300) throw new Error(`The control plane refuses policy ${inputs.name}: ${String(body.detail ?? status)}`);
  return body.policy as Stored;
}

/** What the engine keeps: the inputs, with the spec as the control plane has it. */
function outputs(inputs: Inputs, stored: Stored): Inputs & { resourceVersion: string; endsAt: string | null } {
  return { ...inputs, resourceVersion: stored.metadata.resourceVersion, endsAt: stored.status.endsAt };
}

/** The same text for the same object, whatever the order of its fields. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}

/** Makes what `FaultPolicy` says. */
export const policyProvider: pulumi.dynamic.ResourceProvider<Inputs, Inputs & { resourceVersion: string; endsAt: string | null }> = {
  async create(inputs) {
    const { status } = await ask(inputs, 'GET');
    if (status === 200 && inputs.adopt !== true) {
      throw new Error(`There is a policy ${inputs.name} already, and it isn't this stack's: delete it, or take it over with adopt: true.`);
    }
    return { id: inputs.name, outs: outputs(inputs, await put(inputs)) };
  },
  async read(id, props) {
    if (props === undefined) throw new Error('Reading a policy needs its endpoint and token.');
    const { status, body } = await ask({ ...props, name: id }, 'GET');
    if (status === 404) return { id: '', props: undefined as never };
    if (status !== 200) throw new Error(`The control plane does not show policy ${id}: ${String(body.detail ?? status)}`);
    const stored = body as unknown as Stored;
    const same = JSON.stringify(sorted(stored.spec)) === JSON.stringify(sorted(JSON.parse(props.spec)));
    return { id, props: { ...outputs(props, stored), spec: same ? props.spec : JSON.stringify(stored.spec) } };
  },
  async diff(_id, old, wanted) {
    const same = JSON.stringify(sorted(JSON.parse(old.spec))) === JSON.stringify(sorted(JSON.parse(wanted.spec)));
    const moved = old.name !== wanted.name;
    return {
      changes: !same || moved || old.endpoint !== wanted.endpoint || old.token !== wanted.token,
      replaces: moved ? ['name'] : [],
      deleteBeforeReplace: false,
    };
  },
  async update(_id, _old, wanted) {
    return { outs: outputs(wanted, await put(wanted)) };
  },
  async delete(_id, props) {
    const { status, body } = await ask(props, 'DELETE');
    if (status >= 300 && status !== 404)
      throw new Error(`The control plane does not delete policy ${props.name}: ${String(body.detail ?? status)}`);
  },
};
