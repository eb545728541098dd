import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { containerResources } from './container-resources.ts';
import { labels, podSelector } from './labels.ts';
import { restrictedContainer, restrictedPod } from './pod-security.ts';
import { spread } from './scheduling.ts';

const PART = 'wasm-server';
const PORT = 8080;
const ROOT = '/usr/share/nginx/wasm';

export interface WasmServerArgs {
  readonly namespace: pulumi.Input<string>;
  readonly image: string;
  readonly pullSecret?: string | undefined;
  /** The built filter. */
  readonly plugin: string;
  /** Seconds until it must be ready. */
  readonly readySeconds: number;
}

/**
 * Serves the filter to the sidecars' agents, which fetch it without a certificate. The address has the module's hash: other bytes
 * have another address, and what is at one never changes.
 */
export class WasmServer extends pulumi.ComponentResource {
  /** Where the module is. */
  readonly url: pulumi.Output<string>;
  /** SHA-256 of the module, in hex. */
  readonly sha256: string;

  constructor(name: string, args: WasmServerArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:WasmServer', name, {}, opts);
    const own = { parent: this };
    const metadata = { name: PART, namespace: args.namespace, labels: labels(PART) };
    const module = readFileSync(args.plugin);
    this.sha256 = createHash('sha256').update(module).digest('hex');

    const contents = new k8s.core.v1.ConfigMap(
      PART,
      {
        metadata: { namespace: args.namespace, labels: labels(PART) },
        immutable: true,
        data: { 'nginx.conf': nginxConfiguration(this.sha256) },
        binaryData: { 'plugin.wasm': module.toString('base64') },
      },
      own,
    );
    const account = new k8s.core.v1.ServiceAccount(PART, { metadata, automountServiceAccountToken: false }, own);
    const deployment = new k8s.apps.v1.Deployment(
      PART,
      {
        metadata,
        spec: {
          replicas: 2,
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: args.readySeconds,
          selector: { matchLabels: podSelector(PART) },
          template: {
            metadata: { labels: labels(PART) },
            spec: {
              serviceAccountName: account.metadata.name,
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              ...(args.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: args.pullSecret }] }),
              securityContext: restrictedPod,
              ...spread(PART),
              containers: [
                {
                  name: 'nginx',
                  image: args.image,
                  command: ['nginx', '-c', '/etc/hfi/nginx.conf', '-g', 'daemon off;'],
                  ports: [{ name: 'http', containerPort: PORT }],
                  startupProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1, failureThreshold: 30 },
                  readinessProbe: { httpGet: { path: '/plugin.wasm', port: 'http' }, periodSeconds: 5 },
                  livenessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 10 },
                  lifecycle: { preStop: { exec: { command: ['sleep', '3'] } } },
                  resources: containerResources(['10m', '1'], ['16Mi', '64Mi']),
                  securityContext: restrictedContainer,
                  volumeMounts: [
                    { name: 'contents', mountPath: '/etc/hfi/nginx.conf', subPath: 'nginx.conf', readOnly: true },
                    { name: 'contents', mountPath: `${ROOT}/plugin.wasm`, subPath: 'plugin.wasm', readOnly: true },
                    { name: 'tmp', mountPath: '/tmp' },
                  ],
                },
              ],
              volumes: [
                { name: 'contents', configMap: { name: contents.metadata.name } },
                { name: 'tmp', emptyDir: { sizeLimit: '16Mi' } },
              ],
            },
          },
        },
      },
      { ...own, customTimeouts: { create: `${args.readySeconds}s`, update: `${args.readySeconds}s` } },
    );
    const service = new k8s.core.v1.Service(
      PART,
      { metadata, spec: { selector: podSelector(PART), ports: [{ name: 'http', port: PORT, targetPort: 'http' }] } },
      { ...own, dependsOn: [deployment] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      PART,
      { metadata, spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(PART) } } },
      own,
    );
    this.url = pulumi.interpolate`http://${service.metadata.name}.${args.namespace}.svc.cluster.local:${PORT}/${this.sha256}/plugin.wasm`;
    this.registerOutputs({ url: this.url });
  }
}

/**
 * nginx, with everything it writes under `/tmp`. While one replica after the other is replaced, a sidecar may ask one that hasn't its version:
 * Istio's agent tries again after a 503, but after a 404 goes on without the filter for good.
 */
export function nginxConfiguration(sha256: string): string {
  return `pid /tmp/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 512; }
http {
  log_format asked '$time_iso8601 $remote_addr "$request" $status $body_bytes_sent';
  map $http_user_agent $asked { default 1; ~^kube-probe/ 0; }
  access_log /dev/stdout asked if=$asked;
  server_tokens off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  types { application/wasm wasm; }
  server {
    listen ${PORT};
    root ${ROOT};
    location = /healthz { default_type text/plain; return 200 "ok\\n"; }
    location = /plugin.wasm { add_header Cache-Control "no-cache"; add_header ETag '"${sha256}"'; }
    location = /${sha256}/plugin.wasm { alias ${ROOT}/plugin.wasm; add_header Cache-Control "public, max-age=31536000, immutable"; }
    location ~ "^/[0-9a-f]{64}/plugin\\.wasm$" { add_header Retry-After 1 always; return 503; }
    location / { return 404; }
  }
}
`;
}
