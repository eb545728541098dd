import * as pulumi from '@pulumi/pulumi';
import { certificateIssuer } from './certificate-issuer.ts';

/** Who has a token. The proxies' is in the mesh's configuration and may only poll. */
export const TOKEN_NAMES = ['admin', 'editor', 'viewer', 'proxy'] as const;
export type TokenName = (typeof TOKEN_NAMES)[number];

/** A token and the one before it, which stays good until the next rotation. */
export interface RotatingToken {
  readonly current: string;
  readonly previous: string;
}

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CredentialsArgs {
  /** Any other text makes new tokens and certificates. */
  readonly rotation: string;
  /** DNS names that etcd's certificate is for. */
  readonly etcdNames: readonly string[];
}

export interface CredentialsState {
  readonly tokens: Readonly<Record<TokenName, RotatingToken>>;
  readonly authority: Certificate;
  readonly etcdServer: Certificate;
  readonly etcdClient: Certificate;
  /** Signs the audit. It stays when the tokens change: what it signed must be checked for as long as it is kept. */
  readonly auditKey: string;
  /** When the first of the certificates ends, in milliseconds since the epoch. */
  readonly endsAt: number;
}

/**
 * Tokens and certificates, made once and kept, encrypted, in the stack's state. They are new when `rotation` is another text, and the
 * certificates when less than a third of their life is left at a `pulumi up`.
 */
export class Credentials extends pulumi.dynamic.Resource {
  declare readonly tokens: pulumi.Output<CredentialsState['tokens']>;
  declare readonly authority: pulumi.Output<Certificate>;
  declare readonly etcdServer: pulumi.Output<Certificate>;
  declare readonly etcdClient: pulumi.Output<Certificate>;
  declare readonly auditKey: pulumi.Output<string>;
  declare readonly endsAt: pulumi.Output<number>;

  constructor(name: string, args: CredentialsArgs, opts?: pulumi.CustomResourceOptions) {
    const made = {
      tokens: undefined,
      authority: undefined,
      etcdServer: undefined,
      etcdClient: undefined,
      auditKey: undefined,
      endsAt: undefined,
    };
    super(
      certificateIssuer,
      name,
      { ...made, ...args },
      {
        ...opts,
        additionalSecretOutputs: ['tokens', 'authority', 'etcdServer', 'etcdClient', 'auditKey', ...(opts?.additionalSecretOutputs ?? [])],
      },
    );
  }
}
