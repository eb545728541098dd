import * as pulumi from '@pulumi/pulumi';
import { fieldErrors } from '../services/policy/problems.ts';
import { type PolicyInput, policy } from '../services/policy/schema.ts';
import { policyProvider } from './policy-provider.ts';

export interface FaultPolicyArgs {
  /** The control plane's address, as this program reaches it: `http://127.0.0.1:8080` behind `hfi port-forward`, or an ingress. */
  readonly endpoint: pulumi.Input<string>;
  /** A token of the role `editor` or `admin`. */
  readonly token: pulumi.Input<string>;
  /**
   * Takes a policy over that is there already under this name. It stands for `pulumi import`, which knows no resources that a program
   * defines itself.
   */
  readonly adopt?: boolean;
  readonly metadata: PolicyInput['metadata'];
  readonly spec: PolicyInput['spec'];
}

/**
 * A policy as a resource: made, changed in place, seen to drift by `pulumi refresh`, deleted with the stack, and taken over with `adopt`. It has the
 * API's own schema and types.
 *
 * @throws RunError with every field that is wrong, before anything is sent
 */
export class FaultPolicy extends pulumi.dynamic.Resource {
  /** The revision that the control plane gave it. */
  declare readonly resourceVersion: pulumi.Output<string>;
  /** When it ends, as ISO 8601; null when it doesn't. */
  declare readonly endsAt: pulumi.Output<string | null>;

  constructor(name: string, args: FaultPolicyArgs, opts?: pulumi.CustomResourceOptions) {
    const document = { metadata: args.metadata, spec: args.spec };
    const checked = policy.safeParse(document);
    if (!checked.success) {
      const faults = fieldErrors(policy, checked.error.issues, document).map(({ path, message, nearest }) => {
        return `  - ${path}: ${message}${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`;
      });
      throw new pulumi.RunError(`The policy of ${name} can't be used:\n${faults.join('\n')}`);
    }
    super(
      policyProvider,
      name,
      {
        endpoint: args.endpoint,
        token: pulumi.secret(args.token),
        name: checked.data.metadata.name,
        adopt: args.adopt ?? false,
        // As text: Pulumi would take apart an object, and compare it part by part with what the API filled in.
        spec: JSON.stringify(checked.data.spec),
        resourceVersion: undefined,
        endsAt: undefined,
      },
      { ...opts, additionalSecretOutputs: ['token', ...(opts?.additionalSecretOutputs ?? [])] },
    );
  }
}
