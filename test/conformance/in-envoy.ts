import type { Host } from './host.ts';
export async function inEnvoy(): Promise<Host> {
  throw new Error('not yet');
}
