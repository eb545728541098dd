import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { guardrails } from '../../policy/guardrails.ts';
import type { Policy } from '../../policy/schema.ts';
import { selects } from '../../policy/selector.ts';
import { seesNamespace } from '../access/scope.ts';
import type { Violation } from '../guardrails/violations.ts';
import { readers } from './auth.ts';
import type { Env } from './env.ts';
import type { Parts } from './parts.ts';
import { Problem, refusals } from './problem.ts';
import type { selectableProxies } from './proxies.ts';

const inForce = z
  .object({
    configured: z.boolean().describe('Whether any were set. Without, nothing but the namespaces of the system is closed.'),
    guardrails: guardrails.describe('As they were set; of `namespaces` those that the token may see.'),
    system: z
      .array(z.string())
      .describe('Namespaces in which nothing is ever faulted unless `namespaces` names them; `*` stands for any text.'),
  })
  .openapi('GuardrailsInForce');

/** What no policy may go beyond. */
export function guardrailRoutes(parts: Parts) {
  const route = createRoute({
    method: 'get',
    path: '/v1/guardrails',
    operationId: 'getGuardrails',
    summary: 'Shows the guardrails in force. They are set where the control plane is configured, and nowhere else.',
    tags: ['guardrails'],
    security: [{ bearer: [] }],
    middleware: [readers(parts.tokens)] as const,
    responses: {
      200: { description: 'What holds.', content: { 'application/json': { schema: inForce } } },
      ...refusals('unauthenticated', 'forbidden', 'too-many-requests', 'store-unavailable'),
    },
  });

  return new OpenAPIHono<Env>().openapi(route, (c) => {
    const caller = c.get('actor');
    const { namespaces, ...general } = parts.guard.rules;
    const seen = Object.entries(namespaces ?? {}).filter(([name]) => seesNamespace(caller, name));
    const shown = { ...general, ...(namespaces === undefined ? {} : { namespaces: Object.fromEntries(seen) }) };
    return c.json({ configured: parts.guard.configured, guardrails: shown, system: parts.guard.system }, 200);
  });
}

/** What the guardrails make of a policy that may be applied. */
export interface Guarded {
  /** The only proxies that it is for; undefined = all that it selects. */
  readonly chosen: readonly string[] | undefined;
  readonly warnings: readonly string[];
}

type Selectable = Awaited<ReturnType<typeof selectableProxies>>;
/** Where nobody was asked for: it hits no proxy. */
const NOBODY: Selectable = { items: [], incomplete: [] };

/** Nobody reads more. */
const MOST_ERRORS = 100;

/**
 * Judges a policy.
 *
 * @param appliedAt milliseconds since the epoch
 * @param selectable the proxies that can be selected; needed only where guardrails count them (`Guard.counts`)
 * @throws Problem `guardrail` with each field that goes beyond one, its value and the limit
 */
export function guarded({ guard }: Parts, policy: Policy, appliedAt: number, selectable: Selectable | undefined): Guarded {
  if (!guard.counts(policy)) {
    refuse(guard.violations(policy, appliedAt));
    return { chosen: undefined, warnings: [] };
  }
  const { items, incomplete } = selectable ?? NOBODY;
  const proxies = items.filter((proxy) => selects(policy.spec.selector, proxy));
  refuse(guard.violations(policy, appliedAt, proxies));
  const chosen = guard.choose(policy, proxies) ?? [];
  const later = 'proxies that connect later are not hit by it until it is applied again';
  return {
    chosen,
    warnings: [
      `By the guardrails it is for ${chosen.length} of ${proxies.length} connected proxies that it selects: ${later}.`,
      ...incomplete.map((replica) => `The replica ${replica} could not be asked: its proxies are not hit by it.`),
    ],
  };
}

function refuse(violations: readonly Violation[]): void {
  const [first] = violations;
  if (first === undefined) return;
  const more = violations.length > 1 ? `, and ${violations.length - 1} more` : '';
  const errors = violations
    .slice(0, MOST_ERRORS)
    .map(({ field, message, guardrail, value, limit }) => ({ path: field, message, guardrail, value, limit }));
  throw new Problem('guardrail', `${first.field} ${first.message}${more}.`, { errors });
}
