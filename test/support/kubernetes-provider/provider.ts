import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { provider as contract } from '@pulumi/pulumi';
import { clusterOf } from '../../../components/cluster-facts.ts';
import { type Manifest, Objects } from '../kubernetes-objects.ts';
import { ready } from './ready.ts';

/**
 * A stand-in for Pulumi's Kubernetes provider, for machines where its plugin can't be had: server-side apply, names made up for
 * objects without one, waiting until workloads are ready, deletion with all that an object owns. It knows what the stack uses and
 * no more; where the real plugin is installed, the tests use that.
 */

/** Changing these makes another object, as with the real provider: the contents of these kinds never change. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  ConfigMap: ['data', 'binaryData', 'immutable'],
  Secret: ['data', 'stringData', 'type'],
};

/** What the state keeps beside the object: the inputs that it was made from. */
const INPUTS = '__inputs';

export const provider: contract.Provider = {
  async check(urn, olds, news) {
    const old = olds?.[INPUTS] ?? olds;
    if (news.metadata?.name !== undefined) return { inputs: news };
    const logical = urn.split('::').at(-1) ?? 'object';
    const name = old?.metadata?.name ?? `${logical}-${randomBytes(4).toString('hex')}`;
    return {
      inputs: {
        ...news,
        metadata: { ...news.metadata, name, annotations: { ...news.metadata?.annotations, 'pulumi.com/autonamed': 'true' } },
      },
    };
  },

  async diff(_id, _urn, olds, news) {
    const old = plain(olds[INPUTS] ?? olds);
    news = plain(news);
    const replaces = (FIXED[news.kind] ?? []).filter((field) => !isDeepStrictEqual(old[field], news[field]));
    const moved = ['name', 'namespace'].some((part) => old.metadata?.[part] !== news.metadata?.[part]);
    if (moved) replaces.push('metadata');
    return {
      changes: !isDeepStrictEqual(old, news),
      replaces,
      deleteBeforeReplace: replaces.length > 0 && news.metadata?.annotations?.['pulumi.com/autonamed'] === undefined,
    };
  },

  async create(urn, given) {
    const objects = theObjects();
    given = { ...given, metadata: plain(given.metadata) };
    // A new one under the name that it was given in `check`, unless that is taken by the one that it replaces.
    const inputs = await freshName(urn, given, objects);
    return { id: idOf(inputs), outs: kept(inputs, await ready(objects, await objects.apply(plain(inputs)))) };
  },

  async read(id, _urn, props) {
    const live = await theObjects().get(plain(props));
    if (live === undefined) return { id: '', props: {} };
    const now = projected(live, plain(props[INPUTS]));
    // What is as it was stays as it was written, secrets and all.
    return { id, props: kept(isDeepStrictEqual(now, plain(props[INPUTS])) ? props[INPUTS] : now, live) };
  },

  async update(_id, _urn, _olds, news) {
    const objects = theObjects();
    return { outs: kept(news, await ready(objects, await objects.apply(plain(news)))) };
  },

  async delete(_id, _urn, props) {
    await theObjects().remove(plain(props));
  },
};

/** What the engine marks a secret with. */
const SECRET = '4dabf18193072939515e22adb298388d';

/** The value without the marks of secrets, as the API takes it. */
function plain(value: Manifest): Manifest {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (SECRET in value) return plain(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

/** What goes into the state: the inputs with their secrets marked, and what the cluster added that isn't one. */
function kept(inputs: Manifest, live: Manifest): Manifest {
  return { ...inputs, metadata: live.metadata, ...(live.status === undefined ? {} : { status: live.status }), [INPUTS]: inputs };
}

function theObjects(): Objects {
  return new Objects(clusterOf({}));
}

async function freshName(urn: string, inputs: Manifest, objects: Objects): Promise<Manifest> {
  if (inputs.metadata.annotations?.['pulumi.com/autonamed'] === undefined) return inputs;
  if ((await objects.get(inputs)) === undefined) return inputs;
  const logical = urn.split('::').at(-1) ?? 'object';
  return { ...inputs, metadata: { ...inputs.metadata, name: `${logical}-${randomBytes(4).toString('hex')}` } };
}

function idOf({ metadata }: Manifest): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** What the object now says in the places that the inputs name, so that a drift is a difference of inputs. */
function projected(live: Manifest, inputs: Manifest): Manifest {
  if (Array.isArray(inputs)) {
    return Array.isArray(live) && live.length === inputs.length ? inputs.map((part, i) => projected(live[i], part)) : live;
  }
  if (typeof inputs !== 'object' || inputs === null) return live;
  if (typeof live !== 'object' || live === null) return live;
  return Object.fromEntries(
    Object.entries(inputs).map(([key, part]) => {
      // The API gives it back as `data`.
      if (key === 'stringData' && live.stringData === undefined) return [key, part];
      return [key, projected(live[key], part)];
    }),
  );
}
