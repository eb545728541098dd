import { z } from '@hono/zod-openapi';
import { type Caller, ROLES } from '../caller.ts';

/** Whom of a Kubernetes cluster the control plane lets in, and as what. */

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SERVICE_ACCOUNT = /^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\/(\*|[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)$/;

const binding = z
  .strictObject({
    user: z.string().min(1).optional(),
    group: z.string().min(1).optional(),
    serviceAccount: z.string().regex(SERVICE_ACCOUNT, 'must be namespace/name, each perhaps *').optional(),
    role: z.enum(ROLES),
    namespaces: z.union([z.literal('own'), z.array(z.string().regex(DNS_LABEL, 'must be a namespace')).min(1)]).optional(),
  })
  .superRefine(({ user, group, serviceAccount, namespaces }, context) => {
    const named = [user, group, serviceAccount].filter((one) => one !== undefined).length;
    if (named !== 1) context.addIssue({ code: 'custom', path: [], message: 'needs exactly one of user, group and serviceAccount' });
    if (namespaces === 'own' && user !== undefined)
      context.addIssue({ code: 'custom', path: ['namespaces'], message: 'own is for service accounts: a user has no namespace' });
  });

/** The first entry that names somebody decides; who is named by none is not let in. */
export const roleBindings = z.array(binding).min(1, 'needs at least one entry');
export type RoleBindings = z.output<typeof roleBindings>;

/** Who a Kubernetes token belongs to, as the API server says. */
export interface KubernetesUser {
  readonly username: string;
  readonly groups: readonly string[];
}

const ACCOUNT_NAME = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** Whom the bindings make of a user; undefined when nobody. With `own`, who is no service account is nobody. */
export function callerOf({ username, groups }: KubernetesUser, bindings: RoleBindings): Caller | undefined {
  const [, namespace, account] = ACCOUNT_NAME.exec(username) ?? [];
  const fits = (pattern: string | undefined, text: string | undefined) => pattern === '*' || pattern === text;
  for (const { user, group, serviceAccount, role, namespaces } of bindings) {
    const [ofNamespace, ofName] = serviceAccount?.split('/') ?? [];
    const named =
      user === username ||
      (group !== undefined && groups.includes(group)) ||
      (serviceAccount !== undefined && namespace !== undefined && fits(ofNamespace, namespace) && fits(ofName, account));
    if (!named) continue;
    if (namespaces === 'own' && namespace === undefined) continue;
    const scope = namespaces === 'own' ? [namespace ?? ''] : namespaces;
    return { name: `kubernetes:${username}`, role, ...(scope === undefined ? {} : { namespaces: scope }) };
  }
  return undefined;
}
