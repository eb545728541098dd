import type { PodAddition } from './pod-addition.ts';

export const TLS_PORT = 8443;
const FOLDER = '/etc/hfi/tls';

/** The API over TLS on a port of its own: proxies speak to the plain one, through the mesh or inside the cluster. @param secret of the type `kubernetes.io/tls` */
export function apiTls(secret: string): PodAddition {
  return {
    env: [
      { name: 'HFI_TLS_LISTEN', value: `0.0.0.0:${TLS_PORT}` },
      { name: 'HFI_TLS_CERT_FILE', value: `${FOLDER}/tls.crt` },
      { name: 'HFI_TLS_KEY_FILE', value: `${FOLDER}/tls.key` },
    ],
    ports: [{ name: 'https', containerPort: TLS_PORT }],
    volumes: [{ name: 'tls', secret: { secretName: secret, defaultMode: 0o440 } }],
    mounts: [{ name: 'tls', mountPath: FOLDER, readOnly: true }],
    servicePorts: [{ name: 'https', port: TLS_PORT, targetPort: 'https' }],
  };
}
