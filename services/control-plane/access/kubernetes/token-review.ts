import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from '@hono/zod-openapi';
import type { KubernetesUser } from './roles.ts';

/** How the API server is reached. In a pod Kubernetes brings both files. */
export interface KubernetesApi {
  readonly url: string;
  readonly caFile: string | undefined;
  /** The file of the control plane's own token; read for each question, as Kubernetes replaces it every hour. */
  readonly tokenFile: string;
}

/** The API server can't be asked, or doesn't take the question. */
export class ReviewUnavailable extends Error {
  override readonly name = 'ReviewUnavailable';
}

/** What of a TokenReview's answer is used (`authentication.k8s.io/v1`). */
const answer = z.object({
  status: z
    .object({
      authenticated: z.boolean().default(false),
      audiences: z.array(z.string()).default([]),
      user: z.object({ username: z.string().default(''), groups: z.array(z.string()).nullable().default([]) }).optional(),
    })
    .default({ authenticated: false, audiences: [] }),
});

const PATIENCE_MS = 2000;
const LONGEST_ANSWER = 256 * 1024;

/** Asks the API server whose token this is. It must be for one of the audiences: a token that was made for others is nobody's here. */
export type Review = (token: string) => Promise<KubernetesUser | undefined>;

/** @param audiences whom a token must be meant for @returns a function that throws ReviewUnavailable */
export function tokenReview(api: KubernetesApi, audiences: readonly string[]): Review {
  return async (token) => {
    const body = JSON.stringify({
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences },
    });
    const { status, text } = await post(api, '/apis/authentication.k8s.io/v1/tokenreviews', body);
    if (status !== 200 && status !== 201) throw new ReviewUnavailable(`the Kubernetes API server answered ${status}`);
    const parsed = answer.safeParse(parsedOrNothing(text));
    if (!parsed.success) throw new ReviewUnavailable('the Kubernetes API server answered no TokenReview');
    const { authenticated, audiences: meant, user } = parsed.data.status;
    // A server that knows nothing of audiences says none, and would take a token that was made for itself.
    if (!authenticated || user === undefined || user.username === '' || !meant.some((one) => audiences.includes(one))) return undefined;
    return { username: user.username, groups: user.groups ?? [] };
  };
}

/** By `node:https`, since `fetch` takes no certificate authority. */
async function post(api: KubernetesApi, path: string, body: string): Promise<{ status: number; text: string }> {
  const url = new URL(path, api.url);
  const ask = url.protocol === 'https:' ? httpsRequest : httpRequest;
  try {
    const own = readFileSync(api.tokenFile, 'utf8').trim();
    const ca = api.caFile === undefined ? {} : { ca: readFileSync(api.caFile) };
    return await new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${own}`, 'content-type': 'application/json', accept: 'application/json' };
      const asking = ask(url, { method: 'POST', headers, ...ca, signal: AbortSignal.timeout(PATIENCE_MS) }, (reply) => {
        let text = '';
        reply.setEncoding('utf8');
        reply.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > LONGEST_ANSWER) asking.destroy(new Error('the answer is too long'));
        });
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
        reply.on('error', reject);
      });
      asking.on('error', reject);
      asking.end(body);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ReviewUnavailable(`the Kubernetes API server can not be asked (${code ?? message})`, { cause: error });
  }
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
