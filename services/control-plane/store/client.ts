import { readFileSync } from 'node:fs';
import { noop } from 'cockatiel';
import {
  Etcd3,
  type IOptions,
  type IWatchRequest,
  type IWatchResponse,
  KVClient,
  LeaseClient,
  MaintenanceClient,
  WatchClient,
} from 'etcd3';

export interface EtcdConfig {
  readonly endpoints: readonly string[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** Longest wait for one answer of etcd, in milliseconds: a client gets its 503 within two seconds. */
export const CALL_DEADLINE_MS = 1500;

/** What the control plane uses of a client of etcd. The simulation hands in one that speaks to a model of etcd. */
export interface EtcdConnection {
  readonly keys: Pick<KVClient, 'range' | 'put' | 'txn' | 'deleteRange'>;
  readonly leases: Pick<LeaseClient, 'leaseGrant' | 'leaseRevoke' | 'leaseKeepAlive'>;
  readonly watches: { watch(): Promise<WatchStream> };
  /** A lease that keeps itself alive until it is revoked or `lost`. @param ttl in seconds */
  lease(ttl: number): KeptLease;
  close(): void;
}

export interface WatchStream {
  write(request: IWatchRequest): void;
  cancel(): void;
  on(event: 'data', heard: (response: IWatchResponse) => void): unknown;
  on(event: 'error', failed: (error: Error) => void): unknown;
  on(event: 'end', ended: () => void): unknown;
}

export interface KeptLease {
  put(key: string): { value(value: string): { exec(): Promise<unknown> } };
  revoke(): Promise<void>;
  on(event: 'lost', lost: (error: Error) => void): unknown;
}

/** etcd3's client with its generated stubs in reach: its builders can't say all that is needed here. */
export class EtcdClient extends Etcd3 {
  readonly keys = new KVClient(this.pool);
  readonly leases = new LeaseClient(this.pool);
  readonly watches = new WatchClient(this.pool);
  readonly members = new MaintenanceClient(this.pool);
}

/**
 * Makes a client whose connections are its own, so that a new client is a new connection.
 *
 * etcd3's own resilience is off: its circuit breaker would refuse calls for 5 s after three failures, and its retries would
 * run a transaction twice whose answer got lost.
 */
export function makeClient(config: EtcdConfig): EtcdClient {
  const read = (file: string | undefined): Buffer | undefined => (file === undefined ? undefined : readFileSync(file));
  const rootCertificate = read(config.caFile);
  const privateKey = read(config.keyFile);
  const certChain = read(config.certFile);
  const options: IOptions = {
    hosts: [...config.endpoints],
    faultHandling: { host: () => noop, global: noop },
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + CALL_DEADLINE_MS }),
    grpcOptions: {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 2000,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    },
    ...(rootCertificate === undefined
      ? {}
      : {
          credentials: {
            rootCertificate,
            ...(privateKey === undefined ? {} : { privateKey }),
            ...(certChain === undefined ? {} : { certChain }),
          },
        }),
    ...(config.username === undefined ? {} : { auth: { username: config.username, password: config.password ?? '' } }),
  };
  return new EtcdClient(options);
}
