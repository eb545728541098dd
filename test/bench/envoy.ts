import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type Processes, until } from '../support/processes.ts';

const extension = 'type.googleapis.com/envoy.extensions';

export interface RunningProxy {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  readonly adminPort: number;
}

export interface ProxyOptions {
  /** Unique in the run; also the node's id and the workload. */
  readonly name: string;
  /** The HTTP filters before the router. */
  readonly filters: readonly object[];
  /** Port of whoever answers the filter's polls. */
  readonly controlPlanePort?: number;
  readonly workers?: number;
  /** The processor to keep it on. */
  readonly core?: number;
  /** A program that runs Envoy in its place, with its own arguments; then all takes long. */
  readonly under?: readonly string[];
}

/** How long an Envoy may take to answer, in milliseconds, by itself and under another program. */
const START_MS = 20_000;
const START_UNDER_MS = 300_000;

/**
 * Starts an Envoy whose router answers `200 ok` itself: no second hop, so that the difference between two variants is their
 * filter and little else.
 */
export async function startProxy(processes: Processes, options: ProxyOptions): Promise<RunningProxy> {
  const [port = 0, admin = 0] = await freePorts(2);
  const file = join(processes.folder, `${options.name}.json`);
  await writeFile(file, JSON.stringify(configuration(options, port, admin)));
  const { path } = await findBinary('envoy');
  const [command = path, ...before] = [...(options.under ?? []), path];
  const { pid } = processes.start(
    command,
    [...before, '-c', file, '--concurrency', String(options.workers ?? 1), '--disable-hot-restart', '-l', 'error'],
    options.core,
  );
  const patience = options.under === undefined ? START_MS : START_UNDER_MS;
  await until(() => answers(`http://127.0.0.1:${port}/`), `proxy ${options.name} answers`, patience);
  return { name: options.name, pid, port, adminPort: admin };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).text();
    return true;
  } catch {
    return false;
  }
}

function configuration({ name, filters, controlPlanePort }: ProxyOptions, port: number, admin: number): object {
  return {
    node: {
      id: `sidecar~127.0.0.1~${name}-0.bench~bench.svc.cluster.local`,
      cluster: `${name}.bench`,
      metadata: { NAME: `${name}-0`, NAMESPACE: 'bench', WORKLOAD_NAME: name, LABELS: { app: name } },
    },
    admin: { address: address(admin) },
    static_resources: {
      listeners: [
        {
          name: 'inbound',
          address: address(port),
          traffic_direction: 'INBOUND',
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type': `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: 'inbound',
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'ok' } } }],
                        },
                      ],
                    },
                    http_filters: [
                      ...filters,
                      { name: 'envoy.filters.http.router', typed_config: { '@type': `${extension}.filters.http.router.v3.Router` } },
                    ],
                  },
                },
              ],
            },
          ],
          // Connections go to the workers in turn, so that both are sure to have some.
          connection_balance_config: { exact_balance: {} },
        },
      ],
      clusters: controlPlanePort === undefined ? [] : [cluster(controlPlanePort)],
    },
  };
}

function cluster(port: number): object {
  return {
    name: 'hfi-control-plane',
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: 'hfi-control-plane',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  };
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

/** A proxy-Wasm filter from a module's file. @param configuration bytes, or what becomes JSON */
export function wasmFilter(module: string, configuration: object | Buffer = {}): object {
  const own = Buffer.isBuffer(configuration)
    ? { '@type': 'type.googleapis.com/google.protobuf.BytesValue', value: configuration.toString('base64') }
    : { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: JSON.stringify(configuration) };
  return {
    name: 'wasm',
    typed_config: {
      '@type': `${extension}.filters.http.wasm.v3.Wasm`,
      config: {
        name: 'bench',
        failure_policy: 'FAIL_OPEN',
        configuration: own,
        vm_config: { vm_id: '', runtime: 'envoy.wasm.runtime.v8', code: { local: { filename: module } } },
      },
    },
  };
}

/** HFI's own filter. @param settings what else its configuration says */
export function hfiFilter(module: string, token: string, settings: object = {}): object {
  return wasmFilter(module, { cluster: 'hfi-control-plane', token, direction: 'inbound', ...settings });
}

/** Envoy's native fault filter: an abort for requests whose `x-user` is `value`. */
export function nativeAbort(value: string): object {
  return native({
    abort: { http_status: 503, percentage: { numerator: 100 } },
    headers: [{ name: 'x-user', string_match: { exact: value } }],
  });
}

/** Envoy's native fault filter: every request held for `ms`. */
export function nativeDelay(ms: number): object {
  return native({ delay: { fixed_delay: `${ms / 1000}s`, percentage: { numerator: 100 } } });
}

function native(fault: object): object {
  return { name: 'envoy.filters.http.fault', typed_config: { '@type': `${extension}.filters.http.fault.v3.HTTPFault`, ...fault } };
}

/** The same check as `nativeAbort`, in Lua. */
export function luaAbort(value: string): object {
  const code = `function envoy_on_request(handle)
  if handle:headers():get("x-user") == "${value}" then handle:respond({[":status"] = "503"}, "") end
end`;
  return {
    name: 'envoy.filters.http.lua',
    typed_config: { '@type': `${extension}.filters.http.lua.v3.Lua`, default_source_code: { inline_string: code } },
  };
}
