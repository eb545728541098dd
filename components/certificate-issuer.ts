import type * as pulumi from '@pulumi/pulumi';

/*
 * Pulumi writes the code of a dynamic resource into the state and runs it elsewhere. So all that it needs is inside the functions
 * below: they name nothing of this module, and take libraries with `require`.
 */
declare const require: (name: string) => never;

// biome-ignore lint/suspicious/noExplicitAny: what crosses into the state has the types of `credentials.ts`, which can not be named here.
type Untyped = any;

async function issue(names: readonly string[], before: Untyped): Promise<Untyped> {
  require('reflect-metadata');
  const x509: Untyped = require('@peculiar/x509');
  const { webcrypto, randomBytes }: Untyped = require('node:crypto');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const day = 86_400_000;
  const leafLifeMs = 730 * day;
  const now = Date.now();
  x509.cryptoProvider.set(webcrypto);

  const pem = (label: string, der: ArrayBuffer): string => {
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
  };
  const keyPem = async (key: Untyped): Promise<string> => pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', key));
  const newKeys = (): Promise<Untyped> => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const serial = (): string => `01${randomBytes(15).toString('hex')}`;

  const makeAuthority = async (): Promise<Untyped> => {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name: 'CN=hfi-etcd-ca',
      notBefore: new Date(now - day),
      notAfter: new Date(now + 3650 * day),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(6 | 32 | 64, true)],
    });
    return { certificate: certificate.toString('pem'), key: await keyPem(keys.privateKey) };
  };

  const authority = before?.authority ?? (await makeAuthority());
  const issuer = new x509.X509Certificate(authority.certificate);
  const der = Buffer.from(authority.key.replace(/-----.*?-----|\s/g, ''), 'base64');
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);

  const leaf = async (subject: string, usages: readonly string[], dnsNames: readonly string[]): Promise<Untyped> => {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: `CN=${subject}`,
      issuer: issuer.subject,
      notBefore: new Date(now - day),
      notAfter: new Date(now + leafLifeMs),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(1, true),
        new x509.ExtendedKeyUsageExtension(usages),
        ...(dnsNames.length === 0
          ? []
          : [
              new x509.SubjectAlternativeNameExtension([
                ...dnsNames.map((value) => ({ type: 'dns', value })),
                { type: 'ip', value: '127.0.0.1' },
              ]),
            ]),
      ],
    });
    return { certificate: certificate.toString('pem'), key: await keyPem(keys.privateKey) };
  };

  const server = '1.3.6.1.5.5.7.3.1';
  const client = '1.3.6.1.5.5.7.3.2';
  return {
    authority,
    // A member is also a client of the others.
    etcdServer: await leaf('hfi-etcd', [server, client], names),
    etcdClient: await leaf('hfi-control-plane', [client], []),
    endsAt: now + leafLifeMs,
  };
}

function newTokens(before: Untyped): Untyped {
  const { randomBytes }: Untyped = require('node:crypto');
  const token = (name: string): Untyped => {
    const current = randomBytes(32).toString('base64url');
    return { current, previous: before?.[name]?.current ?? current };
  };
  return { admin: token('admin'), editor: token('editor'), viewer: token('viewer'), proxy: token('proxy') };
}

function newAuditKey(): string {
  const { randomBytes }: Untyped = require('node:crypto');
  return randomBytes(32).toString('base64url');
}

/** Makes what `Credentials` says. */
export const certificateIssuer: pulumi.dynamic.ResourceProvider = {
  async create(inputs: Untyped) {
    const made = { ...(await issue(inputs.etcdNames, undefined)), tokens: newTokens(undefined), auditKey: newAuditKey() };
    return { id: 'credentials', outs: { ...inputs, ...made } };
  },
  async diff(_id: string, old: Untyped, wanted: Untyped) {
    const names = JSON.stringify(old.etcdNames) !== JSON.stringify(wanted.etcdNames);
    const ending = old.endsAt - Date.now() < (730 * 86_400_000) / 3;
    return { changes: old.rotation !== wanted.rotation || names || ending || old.auditKey === undefined };
  },
  async update(_id: string, old: Untyped, wanted: Untyped) {
    const tokens = old.rotation === wanted.rotation ? old.tokens : newTokens(old.tokens);
    return { outs: { ...wanted, ...(await issue(wanted.etcdNames, old)), tokens, auditKey: old.auditKey ?? newAuditKey() } };
  },
};
