import { type Environment, together, urls } from '../environment.ts';
import type { EtcdConfig } from './client.ts';

/**
 * How etcd is reached, from the `HFI_ETCD_*` variables.
 *
 * @throws ConfigError
 */
export function readEtcd(env: Environment): EtcdConfig {
  together(env, 'HFI_ETCD_USERNAME', 'HFI_ETCD_PASSWORD');
  together(env, 'HFI_ETCD_CERT_FILE', 'HFI_ETCD_KEY_FILE');
  return {
    endpoints: urls('HFI_ETCD_ENDPOINTS', env.HFI_ETCD_ENDPOINTS ?? 'http://127.0.0.1:2379'),
    username: env.HFI_ETCD_USERNAME,
    password: env.HFI_ETCD_PASSWORD,
    caFile: env.HFI_ETCD_CA_FILE,
    certFile: env.HFI_ETCD_CERT_FILE,
    keyFile: env.HFI_ETCD_KEY_FILE,
  };
}
