import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { labels, OWNER_ANNOTATION } from './labels.ts';

export interface NamespaceArgs {
  /** The namespace's name in the cluster. It must not be there yet: nothing is adopted. */
  readonly name: string;
  /** `mesh`: Istio puts a sidecar into its pods. `system`: no sidecars, and Pod Security "restricted" is enforced. */
  readonly kind: 'mesh' | 'system';
  /** Whether some of a system namespace's pods ask for a sidecar, which needs more than Pod Security "restricted" allows. */
  readonly someInMesh?: boolean;
}

/** A namespace of our own. */
export class HfiNamespace extends pulumi.ComponentResource {
  /** Its name, known once it is there. */
  readonly name: pulumi.Output<string>;
  /** The resource, for what goes with it when it is deleted. */
  readonly namespace: k8s.core.v1.Namespace;

  constructor(name: string, args: NamespaceArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Namespace', name, {}, opts);
    const restricted = args.kind === 'system' && args.someInMesh !== true;
    const security = args.kind === 'system' ? 'restricted' : 'baseline';
    const namespace = new k8s.core.v1.Namespace(
      name,
      {
        metadata: {
          name: args.name,
          labels: {
            ...labels(args.name),
            // Where it is disabled, no pod gets a sidecar that asks for one; where nothing is said, only those that do.
            ...(args.someInMesh === true ? {} : { 'istio-injection': args.kind === 'mesh' ? 'enabled' : 'disabled' }),
            // Istio's init container needs more than "restricted" allows, unless Istio's CNI plugin does its work.
            ...(restricted ? { 'pod-security.kubernetes.io/enforce': security } : {}),
            'pod-security.kubernetes.io/warn': security,
          },
          annotations: { [OWNER_ANNOTATION]: `${pulumi.getProject()}/${pulumi.getStack()}` },
        },
      },
      { parent: this },
    );
    this.namespace = namespace;
    this.name = namespace.metadata.name;
    this.registerOutputs({ name: this.name });
  }
}
