import { z } from '@hono/zod-openapi';
import { bytes } from '../../../filter/host/header-pairs.ts';
import { peerProperties } from '../../../filter/host/peer.ts';
import { atMostEntries } from '../../policy/entries.ts';
import { labelName } from '../../policy/label.ts';
import { LIMITS } from '../../policy/limits.ts';
import type { Direction } from '../../policy/schema.ts';

/** A request as it is asked about, and as Envoy hands it to the filter. */

/** What Envoy takes of a request's head, unless it is told otherwise. */
const MOST_HEAD_BYTES = 60 * 1024;
const MOST_HEADERS = 100;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\uffff]*$/;

/** An empty one tells nothing, as with Envoy. */
const name = z.string().max(253);

const peer = z
  .strictObject({
    workload: name.optional(),
    service: name.optional(),
    version: name.optional(),
    labels: atMostEntries(LIMITS.entries, z.record(labelName, z.string().max(63))).optional(),
  })
  .describe("What the caller's sidecar says of it: `source.workload`, `source.service` and so on of a match are compared with it.");

export const requestSchema = z
  .strictObject({
    method: z.string().regex(TOKEN, 'is no method, such as `GET`').max(64).default('GET'),
    path: z
      .string()
      .regex(/^[/*][^#\s]*$/, 'must begin with `/`, and have blanks and `#` percent-encoded')
      .max(8192)
      .default('/')
      .describe('With the query.'),
    authority: z
      .string()
      .max(1024)
      .optional()
      .describe('The host, with its port if one is sent; missing: the header `host`, else the service.'),
    headers: z
      .array(
        z.tuple([
          z.string().regex(TOKEN, 'is no header name; method, path and authority have fields of their own').max(256),
          z.string().max(8192).regex(VALUE, 'has a control character'),
        ]),
      )
      .max(MOST_HEADERS)
      .default([])
      .describe('Pairs of name and value, in the order sent.'),
    source: z.string().max(2048).optional().describe("The caller's SPIFFE id, the URI of its certificate; missing: no mutual TLS."),
    peer: peer.optional(),
    port: z.int().min(1).max(65_535).optional().describe('The port at which it arrives.'),
    cluster: z.string().min(1).max(1024).optional().describe('The Envoy cluster to which it is routed.'),
  })
  .superRefine(({ path, headers }, context) => {
    const size = headers.reduce((sum, [key, value]) => sum + key.length + Buffer.byteLength(value), Buffer.byteLength(path));
    if (size > MOST_HEAD_BYTES) {
      context.addIssue({ code: 'custom', path: ['headers'], message: `have ${size} bytes with the path; Envoy takes ${MOST_HEAD_BYTES}` });
    }
  })
  .openapi('AskedRequest');

export type AskedRequest = z.output<typeof requestSchema>;

/** What the filter is given of a request. */
export interface Asked {
  readonly request: AskedRequest;
  /** With the pseudo-headers, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** By their paths, as Envoy joins them. */
  readonly properties: ReadonlyMap<string, Uint8Array>;
}

/** @param host the authority when the request names none */
export function asEnvoyHands(request: AskedRequest, direction: Direction, host: string): Asked {
  const given = request.headers.map(([key, value]): [string, string] => [key.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, '')]);
  const own = given.filter(([key]) => key !== 'host');
  const added = [
    ['x-forwarded-proto', 'http'],
    ['x-request-id', '00000000-0000-4000-8000-000000000000'],
  ] as const;
  return {
    request,
    headers: [
      [':method', request.method],
      [':path', request.path],
      [':authority', request.authority ?? given.find(([key]) => key === 'host')?.[1] ?? host],
      [':scheme', 'http'],
      // Envoy adds these before any filter.
      ...added.filter(([key]) => !own.some(([other]) => other === key)),
      ...own,
    ],
    properties: propertiesOf(request, direction),
  };
}

function propertiesOf({ source, peer, port, cluster }: AskedRequest, direction: Direction): Map<string, Uint8Array> {
  const told = new Map<string, Uint8Array>();
  // A connection from the workload itself shows no certificate, and nothing of a caller.
  if (direction === 'inbound') {
    if (source !== undefined) told.set('connection\0uri_san_peer_certificate', bytes(source));
    for (const [path, value] of peerProperties(peer ?? {})) told.set(path, bytes(value));
  }
  if (cluster !== undefined) told.set('xds\0cluster_name', bytes(cluster));
  if (port !== undefined) told.set('destination\0port', new Uint8Array(new BigUint64Array([BigInt(port)]).buffer));
  return told;
}
