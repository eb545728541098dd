/** Labels that every object of HFI carries. */
export function labels(part: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': part,
    'app.kubernetes.io/part-of': 'hfi',
    'app.kubernetes.io/managed-by': 'pulumi',
  };
}

/** The labels by which a part's pods are found: never changed, since a selector can't be. */
export function podSelector(part: string): Record<string, string> {
  return { 'app.kubernetes.io/name': part };
}

/** Says whose a namespace is: `<project>/<stack>`. */
export const OWNER_ANNOTATION = 'hfi.dev/stack';
