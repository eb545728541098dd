import { z } from '@hono/zod-openapi';
import { atLeastOne } from './choice.ts';
import { atMostEntries } from './entries.ts';
import { keptName } from './header-text.ts';
import { labelName } from './label.ts';
import { LIMITS } from './limits.ts';
import { labelMatch, namedMatch, nameMatch, stringMatch } from './string-match.ts';

/** Which requests a rule is for. */

const HEADER_NAME = /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export const headerName = z.string().regex(HEADER_NAME, 'is no header name').max(256).transform(keptName);

export const cookieName = z.string().regex(COOKIE_NAME, 'is no cookie name').max(256);

const headerMatch = namedMatch(
  'HeaderMatch',
  headerName.describe(
    "The header's name, in any case. `host` and `:authority` are the same; `:method`, `:path` (with the query), `:scheme` and `:authority` name the pseudo-headers. A header sent several times is compared as one value, joined with `,`.",
  ),
);

const queryMatch = namedMatch(
  'QueryMatch',
  z
    .string()
    .min(1)
    .max(256)
    .describe(
      "The parameter's name. Names and values are compared percent-decoded; `+` stays `+`. Of several with one name the first counts. A parameter without `=` has the empty value.",
    ),
);

const cookieMatch = namedMatch(
  'CookieMatch',
  cookieName.describe(
    "The cookie's name, in its own case. Quotation marks around a value don't count. Of several with one name the first counts.",
  ),
);

const grpcMatch = atLeastOne(
  ['service', 'method'],
  'GrpcMatch',
  z.strictObject({
    service: nameMatch.optional().describe('The service with its package: `shop.v1.Orders`.'),
    method: nameMatch.optional().describe("The method's name: `Create`."),
  }),
);

const sourceMatch = atLeastOne(
  ['namespace', 'serviceAccount', 'id', 'workload', 'service', 'version', 'labels'],
  'SourceMatch',
  z.strictObject({
    namespace: nameMatch.optional().describe("The caller's namespace, by its certificate."),
    serviceAccount: nameMatch.optional().describe("The caller's service account, by its certificate."),
    id: nameMatch.optional().describe('The whole SPIFFE id: `spiffe://cluster.local/ns/shop/sa/web`.'),
    workload: nameMatch.optional().describe("The caller's workload, such as its Deployment, by what its sidecar says."),
    service: nameMatch.optional().describe("The caller's canonical service name, by what its sidecar says."),
    version: nameMatch
      .optional()
      .describe(
        "The caller's canonical revision, by what its sidecar says: its pod's label `service.istio.io/canonical-revision`, else `app.kubernetes.io/version`, else `version`, else `latest`.",
      ),
    labels: atMostEntries(LIMITS.entries, z.record(labelName, labelMatch))
      .optional()
      .describe(
        'Labels of the caller, all of them, by what its sidecar says: `app`, `version`, and those that the mesh is told to exchange. A text stands for `exact`, and `*` means that the label is there.',
      ),
  }),
);

const parts = {
  method: stringMatch.optional().describe('The HTTP method, in capitals as it is sent. gRPC calls are `POST`.'),
  path: stringMatch.optional().describe('The path alone, without `?` and the query. To compare with the query, match the header `:path`.'),
  authority: stringMatch.optional().describe('The host that the request is for, with its port if one is given: `:authority` or `host`.'),
  cluster: nameMatch
    .optional()
    .describe(
      "The name of the Envoy cluster to which the request's route leads; in Istio `outbound|<port>|<subset>|<host>`, such as `outbound|80|v2|reviews.shop.svc.cluster.local`.",
    ),
  port: z.int().min(1).max(65_535).optional().describe('The port at which the request arrived at the proxy.'),
  headers: z
    .array(headerMatch)
    .max(LIMITS.entries)
    .optional()
    .describe('All of them must match. A header that the request lacks matches only `present: false`.'),
  query: z
    .array(queryMatch)
    .max(LIMITS.entries)
    .optional()
    .describe('Parameters of the query. All of them must match; one that the request lacks matches only `present: false`.'),
  cookies: z
    .array(cookieMatch)
    .max(LIMITS.entries)
    .optional()
    .describe('Cookies. All of them must match; one that the request lacks matches only `present: false`.'),
  grpc: grpcMatch
    .optional()
    .describe("A gRPC call's service and method, from its path. A request whose `content-type` isn't gRPC's never matches."),
  source: sourceMatch
    .optional()
    .describe(
      'Who calls, by the certificate of its connection (mutual TLS) and by what its sidecar says of it. What is not told, and anything for `outbound` rules, never matches.',
    ),
};

const KINDS = [...Object.keys(parts), 'not', 'anyOf'];

type Parts = z.ZodObject<typeof parts>;

/** A match inside a match. */
export interface NestedMatch extends z.output<Parts> {
  not?: NestedMatch | undefined;
  anyOf?: NestedMatch[] | undefined;
}

interface NestedMatchInput extends z.input<Parts> {
  not?: NestedMatchInput | undefined;
  anyOf?: NestedMatchInput[] | undefined;
}

type Nested = z.ZodType<NestedMatch, NestedMatchInput>;

const not = (): z.ZodOptional<Nested> =>
  nestedMatch.optional().describe('A match, with the same fields but `probes`: holds when that does not.');

const anyOf = (): z.ZodOptional<z.ZodArray<Nested>> =>
  z
    .array(nestedMatch)
    .min(1)
    .max(LIMITS.entries)
    .optional()
    .describe('Matches, with the same fields but `probes`: holds when at least one of them does.');

const nestedMatch: Nested = atLeastOne(
  KINDS,
  'NestedMatch',
  z.strictObject({
    ...parts,
    get not() {
      return not();
    },
    get anyOf() {
      return anyOf();
    },
  }),
);

const count = z.int().max(1_000_000_000);
const moment = z.iso.datetime({ offset: true, error: 'is no time: write it like `2026-11-24T09:00:00Z`' });

const window = atLeastOne(
  ['start', 'end'],
  'Window',
  z
    .strictObject({
      start: moment.optional().describe('From then on the rule matches. Missing: from the apply on.'),
      end: moment.optional().describe('From then on it is over, as with `duration_seconds`. Missing: no end.'),
    })
    .superRefine(({ start, end }, context) => {
      if (start !== undefined && end !== undefined && Date.parse(end) <= Date.parse(start)) {
        context.addIssue({ code: 'custom', path: ['end'], message: `is not after start (${start})` });
      }
    }),
);

/** When a match counts, by time and by the matches before it. */
const turns = {
  window: window.optional().describe('Between which moments the rule matches, by the clock of the control plane.'),
  after: count.min(0).optional().describe('Lets the first so many matching requests be, on each proxy.'),
  every: count
    .min(1)
    .optional()
    .describe('Of the matching requests only each so-manieth counts, on each proxy: with 3 the third, the sixth, and so on.'),
  sequence: z
    .array(z.enum(['fault', 'none']))
    .min(1)
    .max(LIMITS.entries)
    .optional()
    .describe(
      'What becomes of one matching request after the other on each proxy, over and over: `[fault, none, none]` hits the first of three.',
    ),
  limit: z
    .union([
      count.min(1),
      atLeastOne(
        ['proxy', 'fleet'],
        'Limit',
        z.strictObject({
          proxy: count.min(1).optional().describe('At most so many requests are hit on each proxy; then the rule is over there.'),
          fleet: count
            .min(1)
            .optional()
            .describe(
              'When all proxies together have hit so many requests, the rule is over everywhere. They report once a second, so the fleet hits more by what it hits in about a second; no proxy alone hits more.',
            ),
        }),
      ),
    ])
    .optional()
    .describe(
      'At most so many requests are hit: a number for each proxy, the same as `{proxy: number}`, or `{fleet: number}` for all of them together.',
    ),
};

/** How many requests a rule hits at most on each proxy; undefined = any. */
export function proxyLimit({ limit }: Limited = {}): number | undefined {
  if (typeof limit !== 'object') return limit;
  const { proxy, fleet } = limit;
  return proxy === undefined || fleet === undefined ? (proxy ?? fleet) : Math.min(proxy, fleet);
}

/** How many requests a rule hits at most in the whole fleet; undefined = any. */
export function fleetLimit({ limit }: Limited = {}): number | undefined {
  return typeof limit === 'object' ? limit.fleet : undefined;
}

interface Limited {
  readonly limit?: number | { readonly proxy?: number | undefined; readonly fleet?: number | undefined } | undefined;
}

const matchFields = z
  .strictObject({
    ...parts,
    not: not(),
    anyOf: anyOf(),
    ...turns,
    probes: z
      .boolean()
      .optional()
      .describe(
        '`true` lets the rule hit health probes too (`user-agent` beginning with `kube-probe/` or `Envoy/HC`). By default they are left alone.',
      ),
  })
  .openapi('Match');

// Before anything walks down into it, which no stack bears however deep it is.
export const match = z.preprocess((value, context) => {
  if (!nestsDeeper(value, LIMITS.depth)) return value;
  context.addIssue({ code: 'custom', message: `nests not and anyOf more than ${LIMITS.depth} deep` });
  return z.NEVER;
}, matchFields) as unknown as typeof matchFields;

function nestsDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { not, anyOf } = value as { readonly not?: unknown; readonly anyOf?: unknown };
  const inside = [...(not === undefined ? [] : [not]), ...(Array.isArray(anyOf) ? anyOf : [])];
  return inside.some((one) => depth === 0 || nestsDeeper(one, depth - 1));
}
