import { ConfigError, type Environment, whole } from '../control-plane/environment.ts';
import type { EtcdConfig } from '../control-plane/store/client.ts';
import { readEtcd } from '../control-plane/store/settings.ts';

export interface Settings {
  /** How etcd is reached. The endpoints are its members, each once: each is asked on its own. */
  readonly etcd: EtcdConfig;
  /** Where the snapshots lie. */
  readonly folder: string;
  /** How many snapshots stay. */
  readonly keep: number;
  /** How long a member may take to answer, in milliseconds. */
  readonly waitMs: number;
}

/**
 * Reads the settings from environment variables.
 *
 * @throws ConfigError
 */
export function readSettings(env: Environment): Settings {
  const folder = env.HFI_BACKUP_FOLDER;
  if (folder === undefined) throw new ConfigError('HFI_BACKUP_FOLDER is not set; it must name the folder for the snapshots');
  return {
    etcd: readEtcd(env),
    folder,
    keep: whole('HFI_BACKUP_KEEP', env.HFI_BACKUP_KEEP ?? '7', 1, 1000),
    waitMs: whole('HFI_ETCD_WAIT_MS', env.HFI_ETCD_WAIT_MS ?? '60000', 0, 600_000),
  };
}
