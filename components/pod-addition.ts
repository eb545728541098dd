import type { types } from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';

/** What an option of the stack adds to the control plane's pods. */
export interface PodAddition {
  readonly env?: readonly types.input.core.v1.EnvVar[];
  readonly ports?: readonly types.input.core.v1.ContainerPort[];
  readonly volumes?: readonly types.input.core.v1.Volume[];
  readonly mounts?: readonly types.input.core.v1.VolumeMount[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Ports of the Service. */
  readonly servicePorts?: readonly types.input.core.v1.ServicePort[];
}

/** All additions as one. */
export function together(additions: readonly PodAddition[]): Required<PodAddition> {
  return {
    env: additions.flatMap(({ env = [] }) => env),
    ports: additions.flatMap(({ ports = [] }) => ports),
    volumes: additions.flatMap(({ volumes = [] }) => volumes),
    mounts: additions.flatMap(({ mounts = [] }) => mounts),
    labels: Object.assign({}, ...additions.map(({ labels = {} }) => labels)),
    annotations: Object.assign({}, ...additions.map(({ annotations = {} }) => annotations)),
    servicePorts: additions.flatMap(({ servicePorts = [] }) => servicePorts),
  };
}
