import { OpenAPIHono } from '@hono/zod-openapi';
import { policy } from '../../policy/schema.ts';
import { asProblem } from './as-problem.ts';
import { auditRoutes } from './audit.ts';
import { auditSealRoutes } from './audit-seals.ts';
import { docsRoutes } from './docs.ts';
import type { Env } from './env.ts';
import { eventRoutes } from './events.ts';
import { explainRoutes, questionSchema } from './explain.ts';
import { guardrailRoutes } from './guardrails.ts';
import { halting, haltRoutes } from './halt.ts';
import { healthRoutes } from './health.ts';
import { historyRoutes } from './history.ts';
import { observe } from './observe.ts';
import type { Parts } from './parts.ts';
import { policyRoutes } from './policies.ts';
import { policyCountRoutes } from './policy-counts.ts';
import { renewRoutes } from './policy-renew.ts';
import { answerProblem, Problem } from './problem.ts';
import { proxyRoutes } from './proxies.ts';
import { reportRoutes, reportSchema } from './reports.ts';
import { rolloutRoutes } from './rollout.ts';
import { rulesetRoutes } from './ruleset.ts';
import { statusRoutes } from './status.ts';
import { stopConditionRoutes } from './stop-conditions.ts';
import { tokenRoutes } from './tokens.ts';

/** The type of the whole API, for the typed client `hc<AppType>`. */
export type AppType = ReturnType<typeof makeApp>;

/** Makes the API: every route. */
export function makeApp(parts: Parts) {
  const app = new OpenAPIHono<Env>();
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  app.openAPIRegistry.register('Policy', policy);
  app.openAPIRegistry.register('Report', reportSchema);
  app.openAPIRegistry.register('Halting', halting);
  app.openAPIRegistry.register('ExplainQuestion', questionSchema);
  const document = () =>
    app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: {
        title: 'HFI control plane',
        version: parts.version,
        description: 'Faults for the services of an Istio mesh. Errors are RFC 9457 `application/problem+json`.',
        license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
      },
    });

  app.use(observe(parts));
  app.onError((error, c) => answerProblem(c, asProblem(error, c.req.method, parts)));
  app.notFound((c) => {
    const allowed = METHODS.filter((method) => app.router.match(method, c.req.path)[0].some(([[, { path }]]) => path !== '/*'));
    const { method, path } = c.req;
    if (allowed.length === 0) return answerProblem(c, new Problem('not-found', `There is nothing at ${path}.`));
    c.header('allow', allowed.join(', '));
    return answerProblem(c, new Problem('method-not-allowed', `${method} can not be done at ${path}, only ${allowed.join(', ')}.`));
  });

  const routed = app
    .route('/', policyRoutes(parts))
    .route('/', renewRoutes(parts))
    .route('/', historyRoutes(parts))
    .route('/', rulesetRoutes(parts))
    .route('/', reportRoutes(parts))
    .route('/', policyCountRoutes(parts))
    .route('/', stopConditionRoutes(parts))
    .route('/', explainRoutes(parts))
    .route('/', proxyRoutes(parts))
    .route('/', rolloutRoutes(parts))
    .route('/', haltRoutes(parts))
    .route('/', auditRoutes(parts))
    .route('/', auditSealRoutes(parts))
    .route('/', tokenRoutes(parts))
    .route('/', guardrailRoutes(parts))
    .route('/', statusRoutes(parts))
    .route('/', eventRoutes(parts))
    .route('/', healthRoutes(parts))
    .route('/', docsRoutes(document as unknown as Parameters<typeof docsRoutes>[0]));
  routed.get('/openapi.json', (c) => c.json(document(), 200));
  return routed;
}

/** The methods that some route has. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE'];
