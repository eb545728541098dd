import { hc } from 'hono/client';
import type { AppType } from '../services/control-plane/api/app.ts';
import { type Answer, ask, listen, type ServerSentEvent } from './ask.ts';
import type { InCluster } from './cluster/control-plane.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** In each answer of a control plane. Not by import: that would load the control plane. */
const CONTROL_PLANE_HEADER = 'hfi-control-plane';

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
  return status >= 500 || status === 429 || status < 400 ? EXIT.noServer : EXIT.refused;
}

/** How to reach the control plane. */
export interface Target {
  readonly url: string;
  readonly token: string;
  /** When it is reached through the Kubernetes API: where it is. */
  readonly cluster?: InCluster | undefined;
  /** Milliseconds for an answer. */
  readonly timeoutMs: number;
}

export type Client = ReturnType<typeof makeClient>;

/** The typed client of the API. A server that can't be reached, or is silent, is a `Failure`. */
export function makeClient(target: Target) {
  const asked = async (input: unknown, init?: RequestInit): Promise<Answer> => {
    const stream = target.cluster === undefined ? undefined : await (await import('./cluster/control-plane.ts')).connect(target.cluster);
    const answer = await ask(String(input), init ?? {}, target.timeoutMs, stream).catch((error: NodeJS.ErrnoException) => {
      throw unreachable(target, error);
    });
    if (answer.headers.get(CONTROL_PLANE_HEADER) !== null) return answer;
    throw new Failure(`What answers at ${target.url} is no HFI control plane (status ${answer.status}).`, EXIT.noServer);
  };
  return hc<AppType>(target.url, { headers: { authorization: `Bearer ${target.token}` }, fetch: asked as unknown as typeof fetch });
}

/** Between two signs of life of a stream, with room for a slow network. */
const SILENCE_MS = 40_000;

/**
 * What happens, as the control plane tells it, until `signal`.
 *
 * @throws Refusal with what the control plane said; Failure when it can't be reached, or is gone
 */
export async function* watchEvents(target: Target): AsyncGenerator<ServerSentEvent> {
  const stream = target.cluster === undefined ? undefined : await (await import('./cluster/control-plane.ts')).connect(target.cluster);
  try {
    const headers = { authorization: `Bearer ${target.token}`, accept: 'text/event-stream' };
    for await (const one of listen(`${target.url}/v1/events`, headers, SILENCE_MS, stream)) {
      if ('event' in one) yield one;
      else if (!one.ok) await taken(one as Answer & { json(): Promise<never> });
    }
  } catch (error) {
    throw error instanceof Failure ? error : unreachable(target, error as NodeJS.ErrnoException);
  }
}

/** What Node says of a certificate that it can't trust (`X509_V_ERR_…` of OpenSSL). */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/;

function unreachable({ url, timeoutMs }: Target, error: NodeJS.ErrnoException): Failure {
  if (UNTRUSTED.test(error.code ?? '')) {
    const hint = 'set NODE_EXTRA_CA_CERTS to the file of the authority that made it, and name the control plane as the certificate does';
    return new Failure(
      `The control plane at ${url} was not asked: its certificate is not trusted here (${error.code}): ${hint}.`,
      EXIT.noServer,
    );
  }
  const what =
    error.code === 'ETIMEDOUT'
      ? `The control plane at ${url} did not answer within ${timeoutMs / 1000} s`
      : `The control plane at ${url} can not be reached (${error.code ?? error.message})`;
  return new Failure(
    `${what}. Is it running? Start a sandbox with npm start, or name another with --control-plane-addr or --context.`,
    EXIT.noServer,
  );
}

/**
 * The body of a successful answer.
 *
 * @throws Refusal with what the control plane said
 */
export async function taken<T>(
  answer: Pick<Answer, 'ok' | 'status' | 'text'> & { json(): Promise<T> },
): Promise<Exclude<T, { type: string }>> {
  const body: unknown = JSON.parse(await answer.text());
  if (answer.ok) return body as Exclude<T, { type: string }>;
  const { code = '', detail = `The control plane answered ${answer.status}.`, errors = [] } = body as Partial<ProblemBody>;
  throw new Refusal(answer.status, code, detail, errors);
}

interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly Wrong[];
}
