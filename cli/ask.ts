import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';

/** What of an HTTP answer is used. The body has been received whole. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  json(): Promise<unknown>;
}

interface Question {
  readonly method?: string;
  readonly headers?: unknown;
  readonly body?: unknown;
}

/**
 * Asks over HTTP as `fetch` does. Node's `fetch` takes longer to load than a short command to run.
 *
 * @param timeoutMs for the whole answer
 * @param stream the connection to use; one of its own if not given
 * @throws Error with `code`: Node's, or ETIMEDOUT
 */
export async function ask(url: string, { method = 'GET', headers, body }: Question, timeoutMs: number, stream?: Duplex): Promise<Answer> {
  // Not by import: that asks node:http for every one of its exports, one of which loads Node's fetch.
  const { request } = process.getBuiltinModule(url.startsWith('https:') ? 'node:https' : 'node:http');
  const options: RequestOptions = {
    method,
    headers: Object.fromEntries((headers ?? []) as Iterable<[string, string]>),
    // Node asks for a connection only where no agent is named.
    ...(stream === undefined ? { agent: false } : { createConnection: () => stream }),
  };
  return new Promise((resolve, reject) => {
    // Also when the other side hangs up in the middle: the process must not wait for the timer.
    const failed = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    const asking = request(url, options, (answer) => {
      received(answer).then((text) => {
        clearTimeout(timer);
        // The process must not wait for the other side to close.
        asking.destroy();
        resolve(asAnswer(answer, text));
      }, failed);
    });
    const timer = setTimeout(() => asking.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })), timeoutMs);
    asking.on('error', failed);
    asking.end(typeof body === 'string' ? body : undefined);
  });
}

function received(answer: IncomingMessage): Promise<string> {
  answer.setEncoding('utf8');
  let text = '';
  return new Promise((resolve, reject) => {
    answer.on('data', (chunk: string) => {
      text += chunk;
    });
    answer.on('end', () => resolve(text));
    answer.on('error', reject);
    // A server that goes away in the middle.
    answer.on('close', () => reject(Object.assign(new Error('cut off'), { code: 'ECONNRESET' })));
  });
}

function asAnswer({ statusCode = 0, headers }: IncomingMessage, text: string): Answer {
  return {
    ok: statusCode >= 200 && statusCode < 300,
    status: statusCode,
    headers: { get: (name) => headers[name.toLowerCase()]?.toString() ?? null },
    text: async () => text,
    json: async () => JSON.parse(text) as unknown,
  };
}
