import { EtcdInvalidAuthTokenError, EtcdPermissionDeniedError, GRPCInvalidArgumentError } from 'etcd3';
import { StoreRefused, StoreUnavailable } from './store.ts';

/** Waits for an answer of etcd. @throws StoreUnavailable or StoreRefused */
export async function asked<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw translated(error);
  }
}

/** The one place where etcd3's many error classes become the store's two. */
export function translated(error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof GRPCInvalidArgumentError || text.includes('request is too large')) return new StoreRefused(text, { cause: error });
  if (error instanceof EtcdPermissionDeniedError || error instanceof EtcdInvalidAuthTokenError) {
    return new StoreUnavailable('etcd refuses the credentials', { cause: error });
  }
  if (text.includes('database space exceeded')) {
    return new StoreUnavailable('etcd is full and takes no change until somebody makes room', { cause: error });
  }
  return new StoreUnavailable('etcd does not answer', { cause: error });
}
