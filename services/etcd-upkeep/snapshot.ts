import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { EtcdClient } from '../control-plane/store/client.ts';

/** Longest time for a snapshot, in milliseconds. */
const DEADLINE_MS = 600_000;
/** SHA-256 of all that comes before it: the end of what etcd sends. `etcdutl snapshot restore` checks it again. */
const HASH_BYTES = 32;
/** A database has whole pages, of which this is the smallest unit. */
const SECTOR_BYTES = 512;

/**
 * Writes the member's database to a file, as `etcdctl snapshot save` would. The file is there only once it is complete, is what etcd
 * sent and is on the disk.
 *
 * @returns its size in bytes
 * @throws Error when it could not be done; then the file is not there
 */
export async function saveSnapshot(client: EtcdClient, file: string): Promise<number> {
  const partial = `${file}.partial`;
  try {
    const bytes = await receive(client, partial);
    await rename(partial, file);
    await syncFolder(dirname(file));
    return bytes;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function receive(client: EtcdClient, file: string): Promise<number> {
  const output = await open(file, 'w', 0o600);
  try {
    const stream = await client.maintenance.snapshot({ deadline: Date.now() + DEADLINE_MS });
    const hash = createHash('sha256');
    // What may be the hash, and so isn't part of what it is of.
    let end: Buffer = Buffer.alloc(0);
    let bytes = 0;
    // It is a stream of Node's, which etcd3's type keeps to itself; read this way it waits for the disk.
    for await (const { blob } of stream as unknown as AsyncIterable<{ blob: Buffer }>) {
      await output.writeFile(blob);
      bytes += blob.length;
      const pending = Buffer.concat([end, blob]);
      const split = Math.max(0, pending.length - HASH_BYTES);
      hash.update(pending.subarray(0, split));
      end = pending.subarray(split);
    }
    if (bytes % SECTOR_BYTES !== HASH_BYTES || !hash.digest().equals(end)) {
      throw new Error(`what came is not what etcd has: ${bytes} bytes, and not their hash`);
    }
    await output.sync();
    return bytes;
  } finally {
    await output.close();
  }
}

/** Puts the folder's entries on the disk: without it a power cut could undo the rename. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
