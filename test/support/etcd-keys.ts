/** A key's value as it lies in etcd. */
export interface RawPair {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** Reads and writes etcd behind the control plane's back, over its JSON gateway. */
export class EtcdKeys {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** All keys that begin with `prefix`, in order. */
  async under(prefix: string): Promise<RawPair[]> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    const { kvs = [] } = await this.#call('range', { key: base64(prefix), range_end: base64(end) });
    return kvs.map(({ key, value, mod_revision }) => ({ key: text(key), value: text(value), revision: Number(mod_revision) }));
  }

  async put(key: string, value: string): Promise<void> {
    await this.#call('put', { key: base64(key), value: base64(value) });
  }

  async delete(key: string): Promise<void> {
    await this.#call('deleterange', { key: base64(key) });
  }

  async deleteUnder(prefix: string): Promise<void> {
    for (const { key } of await this.under(prefix)) await this.delete(key);
  }

  async #call(path: string, body: object): Promise<{ kvs?: { key: string; value?: string; mod_revision: string }[] }> {
    const answer = await fetch(`${this.#url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as { kvs?: [] };
  }
}

const base64 = (value: string): string => Buffer.from(value).toString('base64');
const text = (value = ''): string => Buffer.from(value, 'base64').toString('utf8');
