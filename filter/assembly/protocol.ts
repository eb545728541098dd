/**
 * The words that filter and control plane say to each other over HTTP. Portable like `layout.ts`: TypeScript and AssemblyScript.
 *
 * A proxy polls `GET /v1/ruleset`. It says who it is and what it runs; the answer is `200` with a ruleset and its `etag`, or
 * `304` after the wait. Each answer carries the control plane's time and renews the proxy's lease.
 */
export const RULESET_PATH: string = '/v1/ruleset';

/** Request: the Envoy node's id, unique in the mesh. */
export const HEADER_PROXY: string = 'x-hfi-proxy';
export const HEADER_NAMESPACE: string = 'x-hfi-namespace';
export const HEADER_WORKLOAD: string = 'x-hfi-workload';
/** Request: the pod's labels as `key=value,key=value`. */
export const HEADER_LABELS: string = 'x-hfi-labels';
/** Request: the filter's own version. */
export const HEADER_FILTER: string = 'x-hfi-filter';
/** Request: the ruleset layout that the filter reads (`LAYOUT_VERSION`). */
export const HEADER_LAYOUT_VERSION: string = 'x-hfi-layout';
/** Request: the ruleset version that every worker of this proxy runs; empty before the first. `if-none-match` may be ahead of it. */
export const HEADER_ACKNOWLEDGED: string = 'x-hfi-acknowledged';
/** Request: how many rulesets this proxy refused since it started, then `;` and the last reason; missing when none. */
export const HEADER_REFUSED: string = 'x-hfi-refused';
/** Request: how many polls failed since it started. */
export const HEADER_POLL_FAILURES: string = 'x-hfi-poll-failures';
/**
 * Response: the revision of the newest change of a policy that the answer knows of. Request: that of the last answer. Another replica
 * that has not seen so much yet answers only when it has, so that a proxy never goes back to older policies by asking elsewhere.
 */
export const HEADER_REVISION: string = 'x-hfi-revision';
/** Request: the lease in milliseconds that this proxy keeps. */
export const HEADER_LEASE: string = 'x-hfi-lease-ms';
/** Request: how many VMs (workers and the main thread) run the filter. */
export const HEADER_VMS: string = 'x-hfi-vms';
/** Request: how many requests came by since the proxy began, as of a second ago at most: inbound, `;`, outbound. */
export const HEADER_REQUESTS: string = 'x-hfi-requests';
/** Request: what of the proxy's identity could not be read, such as `namespace,labels`; missing when all could. */
export const HEADER_UNREADABLE: string = 'x-hfi-unreadable';
/** Response: the control plane's clock, in whole milliseconds since the epoch. */
export const HEADER_TIME: string = 'x-hfi-time';
/** Response: which start of which replica of the control plane answers, 16 characters. */
export const HEADER_REPLICA: string = 'x-hfi-replica';

/**
 * A proxy reports what it has counted with `POST /v1/reports`, in JSON: `{"rules":[{"key":"<16 hexadecimal digits>","injected":3,…}]}`, by the
 * rules' keys, with the counters of `tally-layout.ts` that aren't 0. All count from the start of the proxy's process.
 */
export const REPORTS_PATH: string = '/v1/reports';
/** Request: tells the proxy's process from the ones before it, 16 hexadecimal digits. */
export const HEADER_EPOCH: string = 'x-hfi-epoch';

/** Response to a faulted request: `<policy>/<rule index>`. */
export const HEADER_FAULT: string = 'x-hfi-fault';
/** Response-code details of an abort, as access logs show them within what Envoy adds around. */
export const DETAILS_ABORT: string = 'hfi_abort';
export const DETAILS_DELAYED_ABORT: string = 'hfi_delayed_abort';
