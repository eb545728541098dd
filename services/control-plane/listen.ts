import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import type { Listens } from './api/poll-listener.ts';
import { ConfigError, type Environment, together } from './environment.ts';
import type { Runtime } from './runtime.ts';

/** Where the API is served, and how. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** The files of its certificate, with the chain, and of its key; plain HTTP when missing. */
  readonly tls?: CertificateFiles | undefined;
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Connections that wait to be accepted: after a restart ten thousand proxies come at once, and Node's own 511 would turn many away. The system may allow fewer. */
const BACKLOG = 4096;
/** Between two looks at the certificate's files. Kubernetes brings a new Secret into a pod within a minute or so. */
const LOOK_AGAIN_MS = 2000;

/**
 * The listeners, from `HFI_LISTEN`, `HFI_TLS_CERT_FILE`, `HFI_TLS_KEY_FILE` and `HFI_TLS_LISTEN`: the certificate is for `HFI_TLS_LISTEN` if
 * that is set, and then `HFI_LISTEN` stays plain; else it is for `HFI_LISTEN`. `HFI_PEER_LISTEN` is one more, plain, where a mesh or a certificate would
 * stand between replicas that know each other by address alone.
 *
 * @throws ConfigError, also when the certificate can't be used
 */
export function readListeners(env: Environment): [Listener, ...Listener[]] {
  together(env, 'HFI_TLS_CERT_FILE', 'HFI_TLS_KEY_FILE');
  const { HFI_TLS_CERT_FILE: cert, HFI_TLS_KEY_FILE: key, HFI_TLS_LISTEN: more } = env;
  const peers = env.HFI_PEER_LISTEN === undefined ? [] : [address('HFI_PEER_LISTEN', env.HFI_PEER_LISTEN)];
  const plain = address('HFI_LISTEN', env.HFI_LISTEN ?? '0.0.0.0:8080');
  if (cert === undefined || key === undefined) {
    if (more !== undefined) throw new ConfigError('HFI_TLS_LISTEN is set and HFI_TLS_CERT_FILE and HFI_TLS_KEY_FILE are not');
    return [plain, ...peers];
  }
  const tls = { cert, key };
  try {
    createSecureContext(read(tls));
  } catch (error) {
    throw new ConfigError(`HFI_TLS_CERT_FILE and HFI_TLS_KEY_FILE can not be used: ${reasonOf(error)}`);
  }
  return more === undefined ? [{ ...plain, tls }, ...peers] : [plain, { ...address('HFI_TLS_LISTEN', more), tls }, ...peers];
}

function address(name: string, text: string): Listener {
  const found = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(found?.[2]);
  if (found?.[1] === undefined || port > 65_535) throw new ConfigError(`${name} is "${text}"; it must be host:port, such as 0.0.0.0:8080`);
  return { host: found[1].replace(/^\[(.*)\]$/, '$1'), port };
}

export interface ListenOptions {
  readonly fetch: Parameters<typeof getRequestListener>[0];
  /** Asked first about each request: whether it has answered it, or will. */
  readonly first: Listens;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Told when an address can't be listened at. */
  readonly failed: (listener: Listener, code: string | undefined) => void;
}

/** Begins to serve at a listener. A certificate that changes is taken over by new connections; one that can't be used leaves the old one. */
export function listen(where: Listener, { fetch, first, runtime, log, failed }: ListenOptions): Server | TlsServer {
  const { host: hostname, port, tls } = where;
  const answer = getRequestListener(fetch, { hostname });
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    if (!first(request, response)) void answer(request, response);
  };
  const server = tls === undefined ? createHttpServer(listener) : createTlsServer(read(tls), listener);
  server.listen({ host: hostname, port, backlog: BACKLOG }, () => {
    const { address: bound, port: at, family } = server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${bound}]` : bound;
    log.info({ url: `${tls === undefined ? 'http' : 'https'}://${host}:${at}` }, 'listening');
  });
  server.on('error', (error: NodeJS.ErrnoException) => failed(where, error.code));
  if (tls !== undefined) follow(server as TlsServer, tls, runtime, log);
  return server;
}

/** Looks at the files again and again: a watch misses how Kubernetes replaces a Secret's, by a symbolic link. */
function follow(server: TlsServer, files: CertificateFiles, runtime: Runtime, log: Logger): void {
  let inForce = read(files);
  let refused = '';
  const look = (): void => {
    try {
      const found = read(files);
      if (found.cert !== inForce.cert || found.key !== inForce.key) {
        // Throws when the two don't go together, as when only one has been replaced yet.
        server.setSecureContext(found);
        inForce = found;
        log.info('a new certificate is in force');
      }
      refused = '';
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== refused) log.error({ reason }, 'the new certificate can not be used; the one before stays in force');
      refused = reason;
    }
    if (server.listening) runtime.timers.after(LOOK_AGAIN_MS, look);
  };
  server.once('listening', () => runtime.timers.after(LOOK_AGAIN_MS, look));
}

function read({ cert, key }: CertificateFiles): { readonly cert: string; readonly key: string } {
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** OpenSSL's words on a file, or why it can't be read; never what is in it. */
function reasonOf(error: unknown): string {
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  return code === '' ? (message.split('\n')[0] ?? '') : code;
}
