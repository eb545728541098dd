import type { StackConfig } from './config.ts';
import type { PodAddition } from './pod-addition.ts';

type PrometheusConfig = NonNullable<StackConfig['controlPlane']['prometheus']>;

const FOLDER = '/etc/hfi/prometheus';

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
