import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

/** A certificate that nobody signed but itself, with its key, both in PEM. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate whose one name is a URI, as a workload's in Istio is. */
export async function selfSigned(uri: string): Promise<SelfSigned> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=conformance',
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: uri }])],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
  };
}

interface Listener {
  readonly name: string;
  readonly address: unknown;
  readonly filter_chains: readonly { readonly filters: readonly { readonly typed_config: object }[] }[];
}

/** The same bootstrap with another listener: inbound as the first, but with callers that show a certificate. */
export function withMutualTls(bootstrap: object, port: number, { cert, key }: SelfSigned): object {
  const { static_resources: resources, ...rest } = bootstrap as { static_resources: { listeners: readonly Listener[] } };
  const [inbound] = resources.listeners;
  if (inbound === undefined) throw new Error('a bootstrap without listeners');
  const listener = {
    ...inbound,
    name: 'inbound-tls',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: inbound.filter_chains.map((chain) => ({
      ...chain,
      // A request over mutual TLS has the scheme of any other in a mesh.
      filters: chain.filters.map((filter) => ({
        ...filter,
        typed_config: { ...filter.typed_config, scheme_header_transformation: { scheme_to_overwrite: 'http' } },
      })),
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
          require_client_certificate: true,
          common_tls_context: {
            tls_certificates: [{ certificate_chain: { inline_string: cert }, private_key: { inline_string: key } }],
            // Who signed a caller's certificate is no matter of the filter.
            validation_context: { trust_chain_verification: 'ACCEPT_UNTRUSTED' },
          },
        },
      },
    })),
  };
  return { ...rest, static_resources: { ...resources, listeners: [...resources.listeners, listener] } };
}
