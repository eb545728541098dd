/**
 * Who is at the other end of a connection in the mesh: the sidecar of the control plane says it in `x-forwarded-client-cert`, one element for each
 * proxy on the way (Envoy, "x-forwarded-client-cert"): `By=spiffe://…;Hash=…;Subject="CN=a,O=b";URI=spiffe://cluster.local/ns/demo/sa/web`.
 */

/** The workload that a certificate is of. */
export interface Workload {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** From here, and from nowhere else, Istio's sidecar connects to what it stands before (`InboundPassthroughBindIpv4` and its sister). */
const SIDECAR = new Set(['127.0.0.6', '::ffff:127.0.0.6', '::6']);

const SPIFFE_ID = /^spiffe:\/\/[^/]+\/ns\/([a-z0-9-]+)\/sa\/([a-z0-9.-]+)$/;

/** Whether a connection is the own sidecar's, so that what it says of certificates can be believed. */
export function isFromSidecar(address: string | undefined): boolean {
  return address !== undefined && SIDECAR.has(address);
}

/** The workload of the last element: what the own sidecar saw. The ones before are what others said. */
export function workloadOf(header: string): Workload | undefined {
  const element = split(header, ',').at(-1) ?? '';
  const uris = split(element, ';').flatMap((pair) => /^URI=(.*)$/i.exec(pair.trim())?.[1] ?? []);
  // A certificate has one SPIFFE id.
  const [uri] = uris;
  const [, namespace, serviceAccount] = uris.length === 1 ? (SPIFFE_ID.exec(unquoted(uri ?? '')) ?? []) : [];
  return namespace === undefined || serviceAccount === undefined ? undefined : { namespace, serviceAccount };
}

/** The parts between separators that are not inside quotation marks. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') quoted = !quoted;
    else if (text[i] === separator && !quoted) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

function unquoted(text: string): string {
  return /^"(.*)"$/.exec(text)?.[1] ?? text;
}
