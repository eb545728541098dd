import { LAYOUT_VERSION } from '../../../filter/assembly/layout.ts';
import {
  HEADER_ACKNOWLEDGED,
  HEADER_FILTER,
  HEADER_LABELS,
  HEADER_LAYOUT_VERSION,
  HEADER_LEASE,
  HEADER_NAMESPACE,
  HEADER_POLL_FAILURES,
  HEADER_PROXY,
  HEADER_REFUSED,
  HEADER_REQUESTS,
  HEADER_UNREADABLE,
  HEADER_VMS,
  HEADER_WORKLOAD,
} from '../../../filter/assembly/protocol.ts';
import { readLabels } from '../fleet/identity.ts';
import type { Hello } from '../fleet/proxy.ts';
import type { Requests } from '../fleet/traffic.ts';
import type { Asking } from './asking.ts';
import { LONGEST_PROXY_NAME } from './identify.ts';
import { Problem } from './problem.ts';

/** The most that is kept of a text that a proxy sends for people to read. */
const LONGEST_TEXT = 512;

/** What a poll or a report says of its proxy. @throws Problem `invalid` when it doesn't say which it is */
export function readHello(asking: Asking): Hello {
  const header = (name: string): string => asking.header(name) ?? '';
  const name = header(HEADER_PROXY);
  if (name === '') throw new Problem('invalid', `The header ${HEADER_PROXY} is missing.`);
  if (name.length > LONGEST_PROXY_NAME) {
    throw new Problem('invalid', `The header ${HEADER_PROXY} has ${name.length} characters; at most ${LONGEST_PROXY_NAME} are allowed.`);
  }
  const refused = header(HEADER_REFUSED);
  const [count, ...reason] = refused.split(';');
  return {
    name,
    namespace: header(HEADER_NAMESPACE),
    workload: header(HEADER_WORKLOAD),
    labels: readLabels(header(HEADER_LABELS)),
    acknowledged: header(HEADER_ACKNOWLEDGED).slice(0, LONGEST_TEXT),
    has: header('if-none-match').replace(/^W\//, '').replaceAll('"', ''),
    refused: wholeNumber(count) === 0 ? null : { count: wholeNumber(count), reason: reason.join(';').trim().slice(0, LONGEST_TEXT) },
    unreadable: header(HEADER_UNREADABLE)
      .split(',')
      .map((part) => part.trim().slice(0, LONGEST_TEXT))
      .filter((part) => part !== ''),
    pollFailures: wholeNumber(header(HEADER_POLL_FAILURES)),
    filter: header(HEADER_FILTER).slice(0, LONGEST_TEXT),
    vms: wholeNumber(header(HEADER_VMS)),
    leaseMs: Math.min(wholeNumber(header(HEADER_LEASE)), 3_600_000),
    requests: readRequests(asking.header(HEADER_REQUESTS)),
    layoutFits: [String(LAYOUT_VERSION), ''].includes(header(HEADER_LAYOUT_VERSION)),
  };
}

function readRequests(text: string | undefined): Requests | undefined {
  const [, inbound, outbound] = /^([0-9]{1,15});([0-9]{1,15})$/.exec(text ?? '') ?? [];
  return inbound === undefined || outbound === undefined ? undefined : { inbound: Number(inbound), outbound: Number(outbound) };
}

/** A header's number; 0 when it is none. */
export function wholeNumber(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,15}$/.test(text.trim()) ? Number(text) : 0;
}
