import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from './commands.ts';

/** An image made of files of this machine, under the name that the stack asks for: none can be pulled. */
export interface Image {
  readonly name: string;
  /** Where each file comes from, by its place in the image; libraries that a program needs come along. */
  readonly files: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly entrypoint?: readonly string[];
  readonly folders?: readonly string[];
}

const PASSWD = 'root:x:0:0::/:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/sh\n';

/** Writes the image as an archive that `ctr images import` takes (Docker image specification 1.2, "combined image JSON + filesystem changeset"). */
export function writeImage(image: Image, archive: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'hfi-image-'));
  try {
    const root = join(folder, 'root');
    for (const name of ['tmp', 'etc', 'proc', 'sys', 'dev', 'run', 'var/run', 'var/log', 'var/lib', ...(image.folders ?? [])]) {
      mkdirSync(join(root, name), { recursive: true, mode: name === 'tmp' ? 0o1777 : 0o755 });
    }
    writeFileSync(join(root, 'etc', 'passwd'), PASSWD);
    writeFileSync(join(root, 'etc', 'group'), 'root:x:0:\nistio-proxy:x:1337:\n');
    for (const [to, from] of Object.entries(image.files)) {
      place(root, to, from);
      for (const library of librariesOf(from)) place(root, library, library);
    }
    run('tar', [
      '--sort=name',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mtime=@0',
      '-C',
      root,
      '-cf',
      join(folder, 'layer.tar'),
      '.',
    ]);
    const layer = createHash('sha256')
      .update(readFileSync(join(folder, 'layer.tar')))
      .digest('hex');
    const config = JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: {
        User: image.user ?? '',
        WorkingDir: '/',
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        ...(image.entrypoint === undefined ? {} : { Entrypoint: image.entrypoint }),
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
      history: [{ created: '2026-01-01T00:00:00Z' }],
    });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    writeFileSync(join(folder, configName), config);
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify([{ Config: configName, RepoTags: [image.name], Layers: ['layer.tar'] }]));
    run('tar', ['-C', folder, '-cf', archive, configName, 'manifest.json', 'layer.tar']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function place(root: string, to: string, from: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(realpathSync(from), join(root, to));
}

/** The shared libraries of a program, by the paths under which it looks for them. */
function librariesOf(file: string): string[] {
  try {
    return run('ldd', [file])
      .split(/\s+/)
      .filter((word) => word.startsWith('/') && !word.endsWith(':'));
  } catch {
    // A static program, or no program.
    return [];
  }
}
