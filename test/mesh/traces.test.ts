import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PolicyInput } from '../../services/policy/schema.ts';
import { send } from '../support/load.ts';
import { Mesh, type Sidecar } from '../support/mesh.ts';
import { Processes, until } from '../support/processes.ts';

interface Span {
  readonly traceId: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** Takes spans as a Zipkin collector does. */
class Collector {
  readonly spans: Span[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static start(): Promise<Collector> {
    const server = createServer({ keepAliveTimeout: 0 }, async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      collector.spans.push(...(JSON.parse(body) as Span[]));
      response.writeHead(202).end();
    });
    const collector = new Collector(server);
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(collector)));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

interface Bootstrap {
  readonly static_resources: {
    readonly listeners: readonly { readonly filter_chains: readonly { readonly filters: readonly { typed_config: object }[] }[] }[];
    readonly clusters: object[];
  };
}

/** The tags of docs/access-log.md, on every span. */
const TAGS = [
  { tag: 'hfi.fault', value: '%FILTER_STATE(wasm.hfi_fault:PLAIN)%' },
  { tag: 'hfi.answer', value: '%RESP(X-HFI-FAULT)%' },
  { tag: 'hfi.shadow', value: '%FILTER_STATE(wasm.hfi_shadow:PLAIN)%' },
];

function traced(text: string, port: number): string {
  const configuration = JSON.parse(text) as Bootstrap;
  const { listeners, clusters } = configuration.static_resources;
  for (const { filter_chains } of listeners) {
    for (const { filters } of filter_chains) {
      for (const filter of filters) {
        Object.assign(filter.typed_config, {
          tracing: {
            custom_tags: TAGS,
            provider: {
              name: 'envoy.tracers.zipkin',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.config.trace.v3.ZipkinConfig',
                collector_cluster: 'collector',
                collector_endpoint: '/api/v2/spans',
                collector_endpoint_version: 'HTTP_JSON',
              },
            },
          },
        });
      }
    }
  }
  clusters.push({
    name: 'collector',
    load_assignment: {
      cluster_name: 'collector',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
    },
  });
  return JSON.stringify(configuration);
}

type Fault = PolicyInput['spec']['rules'][number]['fault'];

describe('mesh: what a fault leaves in the trace', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let frontend: Sidecar;
  let collector: Collector;

  before(async () => {
    collector = await Collector.start();
    mesh = await Mesh.start(await Processes.begin());
    frontend = await mesh.sidecar('frontend', { change: (text) => traced(text, collector.port) });
  });
  after(async () => {
    await mesh?.end();
    collector?.stop();
  });

  for (const [what, fault, tags, mode] of [
    ['an abort', { abort: { httpStatus: 503 } }, { 'hfi.fault': 'p/0', 'hfi.answer': 'p/0' }],
    ['a delayed abort', { delay: { fixed_delay: '5ms' }, abort: { httpStatus: 503 } }, { 'hfi.fault': 'p/0', 'hfi.answer': 'p/0' }],
    ['a delay', { delay: { fixed_delay: '5ms' } }, { 'hfi.fault': 'p/0' }],
    ['a changed answer', { response: { status: 418 } }, { 'hfi.fault': 'p/0', 'hfi.answer': 'p/0' }],
    ['a reset', { abort: { reset: true } }, { 'hfi.fault': 'p/0' }],
    ['a fault in shadow', { abort: { httpStatus: 503 } }, { 'hfi.shadow': 'p/0' }, 'shadow'],
    ['a request that is not faulted', { abort: { httpStatus: 503 }, percentage: 0 }, {}],
  ] as [string, Fault, Record<string, string>, 'shadow'?][]) {
    it(`${what}: ${JSON.stringify(tags)}, in the caller's own trace`, async () => {
      await mesh.apply('p', { mode: mode ?? 'enforce', rules: [{ fault }] });
      const traceId = Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
      const headers = { 'x-b3-traceid': traceId, 'x-b3-spanid': traceId.slice(16), 'x-b3-sampled': '1' };
      await send(frontend.inbound, { headers });
      const own = () => collector.spans.filter((span) => span.traceId === traceId);
      await until(() => own().length > 0, 'the span is collected', 20_000);
      const found = Object.entries(own()[0]?.tags ?? {}).filter(
        ([name, value]) => name.startsWith('hfi.') && value !== '' && value !== '-',
      );
      assert.deepEqual(Object.fromEntries(found), tags);
    });
  }
});
