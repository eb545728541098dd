import { type RequestOptions, request } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { until } from './processes.ts';

// biome-ignore lint/suspicious/noExplicitAny: an object of any kind, as the API has it.
export type Manifest = any;

const MANAGER = 'hfi-test';

interface Kind {
  readonly plural: string;
  readonly namespaced: boolean;
}

/**
 * Objects of any kind in a cluster, sent and read as they are: the client library's models would drop the fields that they don't
 * know, such as those of a CustomResourceDefinition's schema that begin with `x-`.
 */
export class Objects {
  readonly #cluster: KubeConfig;
  readonly #kinds = new Map<string, Promise<Kind | undefined>>();

  constructor(cluster: KubeConfig) {
    this.#cluster = cluster;
  }

  /** Server-side apply. @throws Error with what the API says */
  async apply(object: Manifest): Promise<Manifest> {
    const path = await this.#path(object);
    return must(await this.#ask('PATCH', `${path}?fieldManager=${MANAGER}&force=true`, object, 'application/apply-patch+yaml'), object);
  }

  /** The object as it is; undefined when it is gone, or its kind is. */
  async get(object: Manifest): Promise<Manifest | undefined> {
    const path = await this.#path(object).catch(() => undefined);
    if (path === undefined) return undefined;
    const answer = await this.#ask('GET', path);
    return answer.status === 404 ? undefined : must(answer, object);
  }

  async list(apiVersion: string, kind: string, namespace?: string): Promise<Manifest[]> {
    const path = await this.#path({ apiVersion, kind, metadata: { namespace } });
    const { items } = must(await this.#ask('GET', path), { kind, metadata: {} });
    return items.map((item: Manifest) => ({ apiVersion, kind, ...item }));
  }

  /** Deletes it with all that it owns, and waits until it is gone. */
  async remove(object: Manifest, ms = 120_000): Promise<void> {
    const path = await this.#path(object).catch(() => undefined);
    if (path === undefined) return;
    const answer = await this.#ask('DELETE', path, { propagationPolicy: 'Foreground' });
    if (answer.status === 404) return;
    must(answer, object);
    await until(async () => (await this.get(object)) === undefined, `${object.kind} ${object.metadata.name} is gone`, ms);
  }

  /** Any request to the API; a PATCH is a JSON merge patch. @throws Error with what the API says */
  async raw(method: string, path: string, body?: object): Promise<Manifest> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return must(await this.#ask(method, path, body, type), { kind: method, metadata: { name: path } });
  }

  async #path({ apiVersion, kind, metadata }: Manifest): Promise<string> {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${apiVersion} ${kind}`;
    let known = this.#kinds.get(key);
    if (known === undefined) {
      known = this.#discover(base, kind);
      this.#kinds.set(key, known);
    }
    const found = await known;
    if (found === undefined) {
      // It may be defined later.
      this.#kinds.delete(key);
      throw new Error(`The cluster has no ${kind} of ${apiVersion}`);
    }
    const within = found.namespaced && metadata.namespace !== undefined ? `/namespaces/${metadata.namespace}` : '';
    return `${base}${within}/${found.plural}${metadata.name === undefined ? '' : `/${metadata.name}`}`;
  }

  async #discover(base: string, kind: string): Promise<Kind | undefined> {
    const { status, text } = await this.#ask('GET', base);
    if (status !== 200) return undefined;
    const resources: { name: string; kind: string; namespaced: boolean }[] = JSON.parse(text).resources;
    const found = resources.find((one) => one.kind === kind && !one.name.includes('/'));
    return found && { plural: found.name, namespaced: found.namespaced };
  }

  async #ask(method: string, path: string, body?: object, type = 'application/json'): Promise<{ status: number; text: string }> {
    const text = body === undefined ? '' : JSON.stringify(body);
    // The length too: Node's client sends none with a DELETE, and the server would take the body for nothing.
    const described = body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(text) };
    const options: RequestOptions = { method, headers: { accept: 'application/json', ...described } };
    await this.#cluster.applyToHTTPSOptions(options);
    const server = this.#cluster.getCurrentCluster()?.server ?? '';
    return new Promise((resolve, reject) => {
      const asked = request(`${server}${path}`, options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        answer.on('error', reject);
      });
      asked.on('error', reject);
      asked.end(text);
    });
  }
}

function must({ status, text }: { status: number; text: string }, { kind, metadata }: Manifest): Manifest {
  if (status >= 200 && status < 300) return JSON.parse(text);
  let message = text;
  try {
    message = JSON.parse(text).message;
  } catch {
    // Not every answer is the API's.
  }
  throw new Error(`${kind} ${metadata.name ?? ''}: ${status} ${message}`);
}
