import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { certificateIssuer } from '../../components/certificate-issuer.ts';
import type { Certificate, CredentialsState } from '../../components/credentials.ts';

/** Files of a certificate: the authority that signed it, itself, its key. */
export interface CertificateFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The certificates that the stack makes for etcd, for a server on this machine, as files in a folder. */
export async function writeCertificates(folder: string): Promise<{ server: CertificateFiles; client: CertificateFiles }> {
  // The issuer takes its libraries as the code that Pulumi runs from its state does.
  Object.assign(globalThis, { require: createRequire(import.meta.url) });
  const { outs }: { outs?: CredentialsState } = await certificateIssuer.create({ rotation: '1', etcdNames: ['localhost'] });
  if (outs === undefined) throw new Error('the issuer made nothing');
  const { authority, etcdServer, etcdClient } = outs;
  const write = (name: string, { certificate, key }: Certificate): CertificateFiles => {
    const files = { ca: join(folder, name, 'ca.crt'), cert: join(folder, name, 'tls.crt'), key: join(folder, name, 'tls.key') };
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.cert, certificate);
    writeFileSync(files.key, key, { mode: 0o600 });
    return files;
  };
  return { server: write('server', etcdServer), client: write('client', etcdClient) };
}
