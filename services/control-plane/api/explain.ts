import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { atMostEntries } from '../../policy/entries.ts';
import { labelName } from '../../policy/label.ts';
import { LIMITS } from '../../policy/limits.ts';
import { nearest } from '../../policy/nearest.ts';
import { type Policy, policy } from '../../policy/schema.ts';
import { canonicalService } from '../../policy/selector.ts';
import type { Scope } from '../access/caller.ts';
import { inWords, seesNamespace, seesPolicy } from '../access/scope.ts';
import { explanation } from '../explain/answer.ts';
import { type Candidate, explain, type Scene } from '../explain/explain.ts';
import { asEnvoyHands, requestSchema } from '../explain/request.ts';
import { TooManyRules } from '../explain/standing.ts';
import type { StoredPolicy } from '../store/store.ts';
import { readers } from './auth.ts';
import { readBody } from './body.ts';
import type { Env } from './env.ts';
import { inWords as haltInWords } from './halt-resource.ts';
import type { Parts } from './parts.ts';
import { isUnchanged } from './policy-write.ts';
import { Problem, refusals } from './problem.ts';
import { allProxies } from './proxies.ts';

/** Policies that may come with a question, at most. */
const MOST_POLICIES = 100;
/** Explanations that are worked on at the same time, at most. */
const MOST_AT_ONCE = 4;

const name = z.string().max(253);

const described = z
  .strictObject({
    namespace: name.min(1).describe('The Kubernetes namespace.'),
    service: name.min(1).optional().describe("Istio's canonical service name; missing: by the labels, else the workload's name."),
    workload: name.default('').describe("The workload's name, such as the Deployment's."),
    labels: atMostEntries(LIMITS.entries, z.record(labelName, z.string().max(63)))
      .default({})
      .describe("The pod's labels."),
  })
  .openapi('DescribedProxy');

export const questionSchema = z
  .strictObject({
    request: requestSchema.prefault({}).describe('The request.'),
    proxy: z
      .union([z.string().min(1).max(1024), described], 'must be the name of a connected proxy, or an object that describes one')
      .describe('The name of a connected proxy, or what one would be.'),
    direction: z
      .enum(['inbound', 'outbound'])
      .default('inbound')
      .describe('Whether the request arrives at the workload of the proxy, or is sent by it.'),
    policies: z
      .array(policy)
      .max(MOST_POLICIES)
      .default([])
      .describe('Policies as if they were applied now, beside those in force; one of the same name takes the place of the one in force.'),
  })
  .superRefine(({ policies }, context) => {
    policies.forEach(({ metadata }, i) => {
      if (policies.findIndex((other) => other.metadata.name === metadata.name) === i) return;
      context.addIssue({ code: 'custom', path: ['policies', i, 'metadata', 'name'], message: 'is the name of another one' });
    });
  })
  .openapi('ExplainQuestion');

type Question = z.output<typeof questionSchema>;

/** A reference, which the framework's validator leaves alone: it would read JSON only. The typed client gets its type. */
const questionBody = { $ref: '#/components/schemas/ExplainQuestion' } as unknown as z.ZodType<
  z.input<typeof questionSchema>,
  z.input<typeof questionSchema>
>;

/** Why a request would or would not be faulted. */
export function explainRoutes(parts: Parts) {
  const route = createRoute({
    method: 'post',
    path: '/v1/explain',
    operationId: 'explain',
    summary:
      'What would become of a request at a proxy, and why, by the policies in force as this replica has them and the caller may read them, and those that come with the question. The module that the proxies run is asked; nothing is changed, and no dice are thrown.',
    tags: ['policies'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    request: {
      body: {
        description: 'The request, and the proxy that it passes.',
        required: true as const,
        content: { 'application/json': { schema: questionBody }, 'application/yaml': { schema: questionBody } },
      },
    },
    responses: {
      200: { description: 'The explanation.', content: { 'application/json': { schema: explanation } } },
      ...refusals(
        'invalid',
        'malformed',
        'unauthenticated',
        'forbidden',
        'not-found',
        'too-large',
        'unsupported-media-type',
        'too-many-requests',
        'no-filter',
        'store-unavailable',
      ),
    },
  });

  let working = 0;
  return new OpenAPIHono<Env>().openapi(route, async (c) => {
    const question = await readBody(c, questionSchema);
    const filter = parts.filter();
    if (filter === undefined) throw new Problem('no-filter', 'This control plane was started without the filter that it would ask.');
    if (!parts.copy.fresh()) throw new Problem('store-unavailable', 'This replica has no current copy of the policies.', { retryAfter: 1 });
    if (working >= MOST_AT_ONCE) {
      throw new Problem('too-many-requests', `${MOST_AT_ONCE} explanations are being worked on; try again.`, { retryAfter: 1 });
    }
    working++;
    try {
      return c.json(await explain(parts.runtime, filter, await sceneOf(parts, question, c)), 200);
    } catch (error) {
      if (error instanceof TooManyRules)
        throw new Problem('too-large', `The proxy has too many rules to be asked in time: ${error.message}.`);
      throw error;
    } finally {
      working--;
    }
  });
}

async function sceneOf(parts: Parts, question: Question, c: Context<Env>): Promise<Scene> {
  refuseForeign(c.get('actor'), question);
  const proxy = typeof question.proxy === 'string' ? await connected(parts, question.proxy, c) : ofDescribed(question.proxy);
  const now = parts.runtime.clock.now();
  const halt = parts.halts.of(proxy.namespace);
  return {
    policies: candidates(parts, question.policies, c.get('actor'), now),
    over: (stored) => parts.stopConditions.over(stored) ?? parts.counts.over(stored),
    guard: (entry, identity) => parts.guard.allowed(entry, identity),
    halted: halt === undefined ? undefined : haltInWords(halt),
    proxy,
    direction: question.direction,
    asked: asEnvoyHands(question.request, question.direction, canonicalService(proxy)),
    now,
  };
}

/** @throws Problem `forbidden` when it is about what the token is not for */
function refuseForeign(scope: Scope, { proxy, policies }: Question): void {
  const foreign = policies.findIndex((one) => !seesPolicy(scope, one));
  const where = foreign >= 0 ? `policies[${foreign}].spec.selector.namespace` : 'proxy.namespace';
  if (foreign < 0 && (typeof proxy === 'string' || seesNamespace(scope, proxy.namespace))) return;
  throw new Problem('forbidden', `The token is for ${inWords(scope)}.`, {
    errors: [{ path: where, message: `must be of ${inWords(scope)}`, allowed: [...(scope.namespaces ?? [])] }],
  });
}

function ofDescribed({ namespace, workload, service, labels }: Exclude<Question['proxy'], string>): Scene['proxy'] {
  const identity = { namespace, workload, labels };
  const named = service === undefined || canonicalService({ ...identity, workload: '' }) === service;
  const added = named ? {} : { 'service.istio.io/canonical-name': service };
  return { ...identity, labels: { ...labels, ...added }, name: null, running: null, wanted: null };
}

/** @throws Problem `not-found` */
async function connected(parts: Parts, wanted: string, c: Context<Env>): Promise<Scene['proxy']> {
  const { items } = await allProxies(parts, c, false);
  const pods = items.filter((proxy) => proxy.name === wanted || podOf(proxy.name).includes(wanted));
  const found = pods.find((proxy) => proxy.name === wanted) ?? (pods.length === 1 ? pods[0] : undefined);
  if (found === undefined) {
    const near = nearest(
      wanted,
      items.map((proxy) => proxy.name),
    );
    const hint = near === undefined ? '' : ` Did you mean ${JSON.stringify(near)}?`;
    throw new Problem('not-found', `No proxy ${JSON.stringify(wanted)} is known.${hint}`);
  }
  const { namespace, workload, labels, version, wanted: shouldRun, unreadable } = found;
  // Whom nothing may select has no namespace for the fleet either.
  return { namespace: unreadable.length > 0 ? '' : namespace, workload, labels, name: found.name, running: version, wanted: shouldRun };
}

/** Istio's name of a sidecar is `sidecar~<ip>~<pod>.<namespace>~<domain>`. @returns its pod, with the namespace and without */
function podOf(name: string): string[] {
  const pod = name.split('~')[2];
  return pod === undefined ? [] : [pod, pod.split('.')[0] ?? pod];
}

/** What would be in force if the given policies were applied now, as far as the caller may read it. */
function candidates({ copy }: Parts, given: readonly Policy[], scope: Scope, now: number): Candidate[] {
  const names = new Set(given.map(({ metadata }) => metadata.name));
  const kept = [...copy.policies.values()].filter(({ policy: one }) => !names.has(one.metadata.name) && seesPolicy(scope, one));
  return [
    ...kept.map((stored) => ({ stored, given: false })),
    ...given.map((one) => ({ stored: applied(one, copy.policies.get(one.metadata.name), now), given: true })),
  ];
}

function applied(one: Policy, base: StoredPolicy | undefined, now: number): StoredPolicy {
  if (base !== undefined && isUnchanged(base, one, base.chosen)) return base;
  return { policy: one, createdAt: base?.createdAt ?? now, appliedAt: now, revision: 0 };
}
