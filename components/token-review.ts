import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from './config.ts';
import { labels } from './labels.ts';
import type { PodAddition } from './pod-addition.ts';

const PART = 'hfi-token-review';
const ROLES = '/etc/hfi/roles';
/** Where programs look for what Kubernetes gives them. */
const KUBERNETES = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Kubernetes replaces the token before that. */
const TOKEN_SECONDS = 3600;

export interface TokenReviewArgs {
  readonly namespace: pulumi.Input<string>;
  /** The same in plain text: what belongs to the whole cluster is named after it. */
  readonly namespaceName: string;
  readonly account: string;
  readonly audience: string;
  readonly roles: NonNullable<StackConfig['controlPlane']['tokenReview']>['roles'];
}

/** Lets the control plane ask the cluster whose token it is, and nothing else, and says whom that makes of whom. */
export class TokenReview extends pulumi.ComponentResource {
  /** What the control plane's pods need for it. */
  readonly addition: PodAddition;

  constructor(name: string, args: TokenReviewArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:TokenReview', name, {}, opts);
    const own = { parent: this };
    const metadata = { name: `${PART}-${args.namespaceName}`, labels: labels(PART) };
    const role = new k8s.rbac.v1.ClusterRole(
      PART,
      { metadata, rules: [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }] },
      own,
    );
    new k8s.rbac.v1.ClusterRoleBinding(
      PART,
      {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role.metadata.name },
        subjects: [{ kind: 'ServiceAccount', name: args.account, namespace: args.namespace }],
      },
      own,
    );
    const roles = new k8s.core.v1.ConfigMap(
      'hfi-roles',
      { metadata: { namespace: args.namespace, labels: labels(PART) }, data: { 'roles.json': JSON.stringify(args.roles) } },
      own,
    );
    this.addition = {
      env: [
        { name: 'HFI_TOKEN_REVIEW', value: 'on' },
        { name: 'HFI_TOKEN_REVIEW_AUDIENCES', value: args.audience },
        { name: 'HFI_TOKEN_REVIEW_ROLES_FILE', value: `${ROLES}/roles.json` },
      ],
      volumes: [
        { name: 'roles', configMap: { name: roles.metadata.name } },
        {
          name: 'kubernetes',
          projected: {
            defaultMode: 0o440,
            sources: [
              { serviceAccountToken: { path: 'token', expirationSeconds: TOKEN_SECONDS } },
              { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            ],
          },
        },
      ],
      mounts: [
        { name: 'roles', mountPath: ROLES, readOnly: true },
        { name: 'kubernetes', mountPath: KUBERNETES, readOnly: true },
      ],
    };
    this.registerOutputs({});
  }
}
