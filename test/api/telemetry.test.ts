import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Replica } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}

interface LogRecord {
  readonly eventName: string;
  readonly severityText: string;
  readonly timeUnixNano: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
}

interface Sent {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}

/** Takes log records as an OpenTelemetry collector does, by OTLP over HTTP in JSON. */
class Collector {
  readonly records: (LogRecord & { readonly service: string })[] = [];
  readonly headers: (string | undefined)[] = [];
  /** Answers with this. */
  status = 200;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static start(): Promise<Collector> {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      if (request.url === '/v1/logs' && collector.status === 200)
        collector.#take(JSON.parse(body) as Sent, request.headers['x-tenant']?.toString());
      response.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}');
    });
    const collector = new Collector(server);
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(collector)));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  named(eventName: string): LogRecord[] {
    return this.records.filter((record) => record.eventName === eventName);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #take({ resourceLogs }: Sent, tenant: string | undefined): void {
    this.headers.push(tenant);
    for (const { resource, scopeLogs } of resourceLogs) {
      const service = String(attributeOf(resource, 'service.name'));
      for (const { logRecords } of scopeLogs) this.records.push(...logRecords.map((record) => ({ ...record, service })));
    }
  }
}

function attributeOf({ attributes }: { readonly attributes: readonly Attribute[] }, key: string): string | number | undefined {
  const value = attributes.find((one) => one.key === key)?.value;
  return value?.stringValue ?? value?.intValue;
}

describe('API: what was audited goes to an OpenTelemetry collector', function () {
  this.timeout(60_000);
  let processes: Processes;
  let collector: Collector;
  let replicas: Replica[];

  before(async () => {
    processes = await Processes.begin();
    collector = await Collector.start();
    const etcd = await Etcd.start(processes);
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=mesh',
      OTEL_BLRP_SCHEDULE_DELAY: '100',
    };
    replicas = await Promise.all([Replica.start(processes, etcd.url, { env }), Replica.start(processes, etcd.url, { env })]);
  });
  after(async () => {
    await processes?.end();
    collector?.stop();
  });

  const spec = { selector: { namespace: 'demo' }, rules: [{ fault: { abort: { httpStatus: 503 } } }] };

  it('each entry once, whichever replica wrote and sealed it, with who, from where and what', async () => {
    const [one, two] = replicas;
    assert.ok(one && two);
    for (let i = 0; i < 20; i++) assert.equal((await (i % 2 === 0 ? one : two).put(`p-${i}`, spec)).status, 201);
    await one.ask('POST', '/v1/halt', { role: 'editor', body: { namespace: 'demo', reason: 'enough' } });
    await two.ask('DELETE', '/v1/halt?namespace=demo');
    await until(
      async () => collector.named('hfi.create').length >= 20 && collector.named('hfi.resume').length >= 1,
      'all are there',
      20_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const created = collector.named('hfi.create');
    assert.deepEqual([created.length, new Set(created.map((record) => attributeOf(record, 'hfi.policy'))).size], [20, 20]);
    const { items } = (await one.ask('GET', '/v1/audit?limit=100')).body as { items: { id: string; action: string; time: string }[] };
    assert.deepEqual(collector.records.map((record) => attributeOf(record, 'hfi.audit.id')).sort(), items.map(({ id }) => id).sort());
    const [halt] = collector.named('hfi.halt');
    assert.ok(halt);
    assert.deepEqual(
      ['hfi.halt.namespace', 'hfi.halt.reason', 'hfi.actor.name', 'hfi.actor.role', 'client.address'].map((key) => attributeOf(halt, key)),
      ['demo', 'enough', 'the-editor', 'editor', '127.0.0.1'],
    );
    assert.equal(halt.severityText, 'WARN');
    assert.equal(Number(BigInt(halt.timeUnixNano) / 1_000_000n), Date.parse(items.find(({ action }) => action === 'halt')?.time ?? ''));
    assert.deepEqual((JSON.parse(created[0]?.body.stringValue ?? '') as { after: unknown }).after !== null, true);
    assert.ok(collector.records.every(({ service }) => service === 'hfi-control-plane'));
    assert.ok(collector.headers.every((tenant) => tenant === 'mesh'));
  });

  it('a collector that fails holds up nothing', async () => {
    const [one] = replicas;
    assert.ok(one);
    collector.status = 400;
    const begun = performance.now();
    for (let i = 0; i < 20; i++) assert.equal((await one.put(`q-${i}`, spec)).status, 201);
    assert.ok(performance.now() - begun < 5000);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    collector.status = 200;
    await one.put('after', spec);
    await until(async () => collector.records.some((record) => attributeOf(record, 'hfi.policy') === 'after'), 'it goes on', 20_000);
  });
});
