import type { types } from '@pulumi/kubernetes';
import type { StackConfig } from './config.ts';
import type { PodAddition } from './pod-addition.ts';

type PrometheusConfig = NonNullable<StackConfig['controlPlane']['prometheus']>;

const FOLDER = '/etc/hfi/prometheus';
/** Where the pods of a Prometheus listen unless told otherwise. */
const PROMETHEUS_PORT = 9090;

/** Tells the control plane whom it asks for stop conditions. Of a Secret only the one key is mounted. */
export function prometheusAccess({ url, interval, timeout, tokenSecret, caSecret }: PrometheusConfig): PodAddition {
  const files = [
    { name: 'prometheus-token', secret: tokenSecret, key: 'token', variable: 'HFI_PROMETHEUS_TOKEN_FILE' },
    { name: 'prometheus-ca', secret: caSecret, key: 'ca.crt', variable: 'HFI_PROMETHEUS_CA_FILE' },
  ].flatMap(({ secret, ...file }) => (secret === undefined ? [] : [{ ...file, secret, folder: `${FOLDER}/${file.name}` }]));
  return {
    env: [
      { name: 'HFI_PROMETHEUS_URL', value: url },
      { name: 'HFI_PROMETHEUS_INTERVAL_MS', value: String(interval) },
      { name: 'HFI_PROMETHEUS_TIMEOUT_MS', value: String(timeout) },
      ...files.map(({ variable, folder, key }) => ({ name: variable, value: `${folder}/${key}` })),
    ],
    volumes: files.map(({ name, secret, key }) => ({
      name,
      secret: { secretName: secret, defaultMode: 0o440, items: [{ key, path: key }] },
    })),
    mounts: files.map(({ name, folder }) => ({ name, mountPath: folder, readOnly: true })),
  };
}

/** What a network policy must let out for it. */
export function prometheusEgress({ url, namespace, port }: PrometheusConfig): types.input.networking.v1.NetworkPolicyEgressRule {
  const { protocol, port: inUrl } = new URL(url);
  if (namespace !== undefined) {
    const to = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }];
    return { to, ports: [{ port: port ?? PROMETHEUS_PORT, protocol: 'TCP' }] };
  }
  const own = inUrl === '' ? (protocol === 'https:' ? 443 : 80) : Number(inUrl);
  return { ports: [{ port: port ?? own, protocol: 'TCP' }] };
}
