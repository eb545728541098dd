/** One listener with the filter: where it listens and where its requests go. */
export interface Listener {
  readonly port: number;
  readonly upstream: Upstream;
}

/** A service behind a listener. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  /** Speak HTTP/2 to it in clear text, as gRPC needs; HTTP/1.1 otherwise. */
  readonly http2?: boolean;
}

/** All that decides a sidecar's configuration. */
export interface Sidecar {
  readonly name: string;
  readonly namespace: string;
  /** The workload's name, as a Deployment's. */
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly adminPort: number;
  readonly inbound: Listener;
  readonly outbound: Listener;
  readonly controlPlane: { readonly host: string; readonly port: number; readonly token: string };
  /** The filter's module; undefined gives the same proxy without the filter. */
  readonly filter?: string | undefined;
  readonly leaseMs: number;
  readonly accessLog: string;
}

/** The Envoy cluster through which the filter polls; named in the filter's configuration. */
export const CONTROL_PLANE_CLUSTER = 'hfi-control-plane';

const extension = 'type.googleapis.com/envoy.extensions';
const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/**
 * The Envoy bootstrap of a sidecar: node metadata as Istio's injector writes it, an inbound and an outbound listener on the
 * loopback, each with the filter before the router. Pure: the same input gives the same configuration.
 */
export function bootstrap(sidecar: Sidecar): object {
  return {
    node: node(sidecar),
    admin: { address: address('127.0.0.1', sidecar.adminPort) },
    // Istio's stock bootstrap has this tag: `wasm_filter.<policy>.<name>` becomes `<name>` with the label wasm_filter.
    stats_config: { stats_tags: [{ tag_name: 'wasm_filter', regex: '(wasm_filter\\.([^.]+)\\.)' }] },
    static_resources: {
      listeners: [listener(sidecar, 'inbound', sidecar.inbound), listener(sidecar, 'outbound', sidecar.outbound)],
      clusters: [
        cluster('inbound', sidecar.inbound.upstream),
        cluster('outbound', sidecar.outbound.upstream),
        cluster(CONTROL_PLANE_CLUSTER, sidecar.controlPlane),
      ],
    },
  };
}

function node({ name, namespace, workload, labels }: Sidecar): object {
  const pod = `${workload}-0`;
  return {
    id: `sidecar~127.0.0.1~${pod}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${name}.${namespace}`,
    metadata: {
      NAME: pod,
      NAMESPACE: namespace,
      WORKLOAD_NAME: workload,
      OWNER: `kubernetes://apis/apps/v1/namespaces/${namespace}/deployments/${workload}`,
      LABELS: labels,
      CLUSTER_ID: 'Kubernetes',
      MESH_ID: 'cluster.local',
      SERVICE_ACCOUNT: name,
      INTERCEPTION_MODE: 'NONE',
    },
  };
}

function listener(sidecar: Sidecar, direction: 'inbound' | 'outbound', { port }: Listener): object {
  return {
    name: direction,
    address: address('127.0.0.1', port),
    traffic_direction: direction.toUpperCase(),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': `${extension}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: direction,
              codec_type: 'AUTO',
              // Shutting down must not wait for idle clients.
              drain_timeout: '0.1s',
              // As Istio's sidecars.
              upgrade_configs: [{ upgrade_type: 'websocket' }],
              proxy_100_continue: true,
              access_log: [accessLog(sidecar, direction)],
              route_config: {
                name: direction,
                virtual_hosts: [
                  {
                    name: direction,
                    domains: ['*'],
                    // No route time limit and no retries: what a client sees is what the service or a fault did.
                    routes: [{ match: { prefix: '/' }, route: { cluster: direction, timeout: '0s' } }],
                  },
                ],
              },
              http_filters: [...filter(sidecar, direction), router()],
            },
          },
        ],
      },
    ],
  };
}

function filter(sidecar: Sidecar, direction: 'inbound' | 'outbound'): object[] {
  if (sidecar.filter === undefined) return [];
  const configuration = {
    cluster: CONTROL_PLANE_CLUSTER,
    authority: CONTROL_PLANE_CLUSTER,
    token: sidecar.controlPlane.token,
    direction,
    leaseMs: sidecar.leaseMs,
  };
  return [
    {
      name: 'hfi',
      typed_config: {
        '@type': `${extension}.filters.http.wasm.v3.Wasm`,
        config: {
          name: `hfi-${direction}`,
          failure_policy: 'FAIL_OPEN',
          configuration: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: JSON.stringify(configuration) },
          // As under Istio: an empty vm_id, so that both directions share one VM a thread.
          vm_config: { vm_id: '', runtime: 'envoy.wasm.runtime.v8', code: { local: { filename: sidecar.filter } } },
        },
      },
    },
  ];
}

function router(): object {
  return { name: 'envoy.filters.http.router', typed_config: { '@type': `${extension}.filters.http.router.v3.Router` } };
}

function accessLog(sidecar: Sidecar, direction: string): object {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': `${extension}.access_loggers.file.v3.FileAccessLog`,
      path: sidecar.accessLog,
      log_format: {
        json_format: {
          time: '%START_TIME%',
          direction,
          method: '%REQ(:METHOD)%',
          path: '%REQ(:PATH)%',
          status: '%RESPONSE_CODE%',
          details: '%RESPONSE_CODE_DETAILS%',
          flags: '%RESPONSE_FLAGS%',
          fault: '%RESP(X-HFI-FAULT)%',
          done: '%FILTER_STATE(wasm.hfi_fault:PLAIN)%',
          shadow: '%FILTER_STATE(wasm.hfi_shadow:PLAIN)%',
          milliseconds: '%DURATION%',
        },
      },
    },
  };
}

function cluster(name: string, upstream: Upstream): object {
  return {
    name,
    type: 'STRICT_DNS',
    // Loopback services listen on IPv4 more often than on both.
    dns_lookup_family: 'V4_PREFERRED',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream.host, upstream.port) } }] }],
    },
    ...(upstream.http2 && {
      typed_extension_protocol_options: {
        [httpOptions]: { '@type': `type.googleapis.com/${httpOptions}`, explicit_http_config: { http2_protocol_options: {} } },
      },
    }),
  };
}

function address(host: string, port: number): object {
  return { socket_address: { address: host, port_value: port } };
}
