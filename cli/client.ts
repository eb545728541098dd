import { hc } from 'hono/client';
import type { AppType } from '../services/control-plane/api/app.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** One thing that is wrong with what was sent. */
export interface Wrong {
  readonly path: string;
  readonly message: string;
  readonly allowed?: readonly string[];
  readonly nearest?: string;
}

/** An answer of the control plane that isn't a success. */
export class Refusal extends Failure {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly Wrong[];

  constructor(status: number, code: string, detail: string, errors: readonly Wrong[]) {
    super(detail, exitOf(status));
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

function exitOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.notAllowed;
  if (status === 404) return EXIT.notFound;
  return status >= 500 || status === 429 ? EXIT.noServer : EXIT.refused;
}

/** How to reach the control plane. */
export interface Target {
  readonly url: string;
  readonly token: string;
  /** Milliseconds for an answer. */
  readonly timeoutMs: number;
}

export type Client = ReturnType<typeof makeClient>;

/** The typed client of the API. A server that can't be reached, or is silent, is a `Failure`. */
export function makeClient(target: Target) {
  const ask: typeof fetch = async (input, init) => {
    try {
      return await fetch(input, { ...init, signal: AbortSignal.timeout(target.timeoutMs) });
    } catch (error) {
      throw unreachable(target, error);
    }
  };
  return hc<AppType>(target.url, { headers: { authorization: `Bearer ${target.token}` }, fetch: ask });
}

function unreachable({ url, timeoutMs }: Target, error: unknown): Failure {
  const name = error instanceof Error ? error.name : '';
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  const what =
    name === 'TimeoutError'
      ? `The control plane at ${url} did not answer within ${timeoutMs / 1000} s`
      : `The control plane at ${url} can not be reached (${cause?.code ?? (error instanceof Error ? error.message : String(error))})`;
  return new Failure(
    `${what}. Is it running? Start a sandbox with npm start, or name another with --control-plane-addr or --context.`,
    EXIT.noServer,
  );
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Headers;
  text(): Promise<string>;
  json(): Promise<unknown>;
}

/**
 * The body of a successful answer.
 *
 * @throws Refusal with what the control plane said
 */
export async function taken<T>(answer: Answer & { json(): Promise<T> }): Promise<Exclude<T, { type: string }>> {
  if (answer.ok) return (await answer.json()) as Exclude<T, { type: string }>;
  const text = await answer.text();
  try {
    const problem = JSON.parse(text) as { code?: string; detail?: string; errors?: Wrong[] };
    throw new Refusal(
      answer.status,
      problem.code ?? '',
      problem.detail ?? `The control plane answered ${answer.status}.`,
      problem.errors ?? [],
    );
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(answer.status, '', `What answers there is no HFI control plane (status ${answer.status}).`, []);
  }
}
