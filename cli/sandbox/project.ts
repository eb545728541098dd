import { existsSync } from 'node:fs';
import path from 'node:path';

/** The project's folder: the nearest one above this file (or its bundle) that holds the package and its lockfile. */
export function projectRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package-lock.json')) || !existsSync(path.join(folder, 'services'))) {
    const parent = path.dirname(folder);
    if (parent === folder) throw new Error(`no project folder above ${import.meta.dirname}`);
    folder = parent;
  }
  return folder;
}

/** Where the sandbox keeps its state: `HFI_SANDBOX_DIR`, else `.hfi/sandbox` of the project. */
export function sandboxFolder(): string {
  return path.resolve(process.env.HFI_SANDBOX_DIR ?? path.join(projectRoot(), '.hfi', 'sandbox'));
}

/** Where fetched binaries are kept between runs. */
export function binaryFolder(): string {
  return path.resolve(process.env.HFI_BIN_DIR ?? path.join(projectRoot(), '.hfi', 'bin'));
}
