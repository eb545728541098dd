import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import type { Guardrails } from '../services/policy/guardrails.ts';
import { labels } from './labels.ts';
import type { PodAddition } from './pod-addition.ts';

const FOLDER = '/etc/hfi/guardrails';

/**
 * The guardrails as a file in the control plane's pods. The ConfigMap's name carries a hash of what is in it, so other guardrails
 * roll the pods.
 */
export function guardrailsFile(
  guardrails: Guardrails,
  namespace: pulumi.Input<string>,
  opts: pulumi.ComponentResourceOptions,
): PodAddition {
  const map = new k8s.core.v1.ConfigMap(
    'hfi-guardrails',
    { metadata: { namespace, labels: labels('hfi-control-plane') }, data: { 'guardrails.json': JSON.stringify(guardrails) } },
    opts,
  );
  return {
    env: [{ name: 'HFI_GUARDRAILS_FILE', value: `${FOLDER}/guardrails.json` }],
    volumes: [{ name: 'guardrails', configMap: { name: map.metadata.name } }],
    mounts: [{ name: 'guardrails', mountPath: FOLDER, readOnly: true }],
  };
}
