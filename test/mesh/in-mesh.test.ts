import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { freePorts } from '../../cli/sandbox/ports.ts';
import { type SelfSigned, selfSigned } from '../conformance/mutual-tls.ts';
import { Replica, TOKENS } from '../support/control-plane.ts';
import { Etcd } from '../support/etcd.ts';
import { Processes, until } from '../support/processes.ts';

/** Where Istio's sidecar connects from. */
const SIDECAR_ADDRESS = '127.0.0.6';

/** An Envoy before the control plane as Istio sets one up: it wants a certificate, says whose it is, and connects from its own address. */
function sidecarBootstrap(port: number, admin: number, upstream: number, { cert, key }: SelfSigned): object {
  const socket = (address: string, port_value: number) => ({ socket_address: { address, port_value } });
  const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` });
  return {
    admin: { address: socket('127.0.0.1', admin) },
    static_resources: {
      listeners: [
        {
          name: 'inbound',
          address: socket('127.0.0.1', port),
          filter_chains: [
            {
              transport_socket: {
                name: 'tls',
                typed_config: {
                  ...type('transport_sockets.tls.v3.DownstreamTlsContext'),
                  require_client_certificate: true,
                  common_tls_context: {
                    tls_certificates: [{ certificate_chain: { inline_string: cert }, private_key: { inline_string: key } }],
                    validation_context: { trust_chain_verification: 'ACCEPT_UNTRUSTED' },
                  },
                },
              },
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'inbound',
                    forward_client_cert_details: 'APPEND_FORWARD',
                    set_current_client_cert_details: { subject: true, dns: true, uri: true },
                    route_config: {
                      virtual_hosts: [
                        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'own', timeout: '0s' } }] },
                      ],
                    },
                    http_filters: [{ name: 'router', typed_config: type('filters.http.router.v3.Router') }],
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'own',
          type: 'STATIC',
          upstream_bind_config: { source_address: { address: SIDECAR_ADDRESS, port_value: 0 } },
          load_assignment: {
            cluster_name: 'own',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket('127.0.0.1', upstream) } }] }],
          },
        },
      ],
    },
  };
}

describe('the control plane in the mesh, behind a real Envoy', function () {
  this.timeout(60_000);
  let processes: Processes;
  let replica: Replica;
  let port: number;
  let demo: SelfSigned;
  let bound: string;

  before(async () => {
    processes = await Processes.begin();
    const etcd = await Etcd.start(processes);
    replica = await Replica.start(processes, etcd.url, { env: { HFI_IN_MESH: 'on' } });
    const { path } = await findBinary('envoy');
    const [listener = 0, admin = 0] = await freePorts(2);
    port = listener;
    const file = join(processes.folder, 'sidecar.json');
    const own = await selfSigned('spiffe://cluster.local/ns/boifi/sa/hfi-control-plane');
    writeFileSync(file, JSON.stringify(sidecarBootstrap(port, admin, replica.port, own)));
    processes.start(path, ['-c', file, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart']);
    await until(async () => (await fetch(`http://127.0.0.1:${admin}/ready`).catch(() => undefined))?.ok === true, 'Envoy is ready');
    demo = await selfSigned('spiffe://cluster.local/ns/demo/sa/web');
    const made = await replica.ask('POST', '/v1/tokens', { body: { name: 'shop-proxy', role: 'proxy', namespaces: ['shop'] } });
    bound = String(made.body.token);
  });
  after(() => processes.end());

  const headersFor = (namespace: string, token: string, more: Record<string, string>) => ({
    authorization: `Bearer ${token}`,
    'x-hfi-proxy': `proxy-of-${namespace}`,
    'x-hfi-namespace': namespace,
    ...more,
  });

  /** A poll through the sidecar, with the certificate of a workload of demo. */
  function poll(namespace: string, token: string = TOKENS.proxy, more: Record<string, string> = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      const { cert, key } = demo;
      const asking = request(
        {
          host: '127.0.0.1',
          port,
          path: '/v1/ruleset',
          cert,
          key,
          rejectUnauthorized: false,
          agent: false,
          headers: headersFor(namespace, token, more),
        },
        (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
      );
      asking.on('error', reject);
      asking.end();
    });
  }

  /** A poll that goes around the sidecar, from an address of this machine. */
  function around(localAddress: string, more: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const asking = plainRequest(
        {
          host: '127.0.0.1',
          port: replica.port,
          localAddress,
          path: '/v1/ruleset',
          agent: false,
          headers: headersFor('demo', TOKENS.proxy, more),
        },
        (answer) => answer.resume().on('end', () => resolve(answer.statusCode ?? 0)),
      );
      asking.on('error', reject);
      asking.end();
    });
  }

  it('answers a proxy of the namespace that its certificate says, and no other, though the token is for all', async () => {
    assert.equal(await poll('demo'), 200);
    assert.equal(await poll('shop'), 403);
  });

  it('believes no certificate that a request brings along', async () => {
    const forged = { 'x-forwarded-client-cert': 'By=x;Hash=y;URI=spiffe://cluster.local/ns/shop/sa/web' };
    assert.equal(await poll('shop', TOKENS.proxy, forged), 403);
    assert.equal(await poll('demo', TOKENS.proxy, forged), 200);
  });

  it('wants the token beside the certificate, and one that is for its namespace', async () => {
    assert.equal(await poll('demo', 'no-token-of-anybody'), 401);
    assert.equal(await poll('demo', bound), 403);
    assert.equal(await poll('shop', bound), 403);
  });

  it('answers no proxy that goes around the sidecar, whatever it says', async () => {
    const forged = { 'x-forwarded-client-cert': 'By=x;Hash=y;URI=spiffe://cluster.local/ns/demo/sa/web' };
    assert.equal(await around('127.0.0.1', {}), 403);
    assert.equal(await around('127.0.0.1', forged), 403);
    assert.equal(await around(SIDECAR_ADDRESS, {}), 403, 'nor one without a certificate');
    assert.equal(await around(SIDECAR_ADDRESS, forged), 200, 'the test itself: what the sidecar says is believed');
  });

  it('answers people as before, who come by port-forward', async () => {
    assert.equal((await replica.ask('GET', '/v1/proxies')).status, 200);
  });
});
