import { readFileSync } from 'node:fs';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { containerResources } from './container-resources.ts';
import { labels } from './labels.ts';
import { restrictedContainer } from './pod-security.ts';

const PART = 'hfi-bundle';

export interface BundleArgs {
  readonly namespace: pulumi.Input<string>;
  /** The gzipped tarball that the build makes; at most 1 MiB, which is what a ConfigMap takes. */
  readonly tarball: string;
  /** The image that unpacks it. */
  readonly image: string;
}

/** Programs for the stock Node image: a tarball in a ConfigMap, unpacked before a pod's containers start. */
export class Bundle extends pulumi.ComponentResource {
  /** Name of the ConfigMap. It is another one for other contents, so that what mounts it rolls. */
  readonly configMap: pulumi.Output<string>;
  readonly #image: string;

  constructor(name: string, args: BundleArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Bundle', name, {}, opts);
    this.#image = args.image;
    const map = new k8s.core.v1.ConfigMap(
      name,
      {
        metadata: { namespace: args.namespace, labels: labels(PART) },
        immutable: true,
        binaryData: { 'bundle.tgz': readFileSync(args.tarball).toString('base64') },
      },
      { parent: this },
    );
    this.configMap = map.metadata.name;
    this.registerOutputs({ configMap: this.configMap });
  }

  /** What a pod needs to have the programs at `/app`. */
  pod(): {
    initContainer: k8s.types.input.core.v1.Container;
    mount: k8s.types.input.core.v1.VolumeMount;
    volumes: k8s.types.input.core.v1.Volume[];
  } {
    return {
      initContainer: {
        name: 'unpack',
        image: this.#image,
        command: ['tar', '--extract', '--gzip', '--no-same-owner', '--file=/bundle/bundle.tgz', '--directory=/app'],
        resources: containerResources(['10m', '1'], ['32Mi', '64Mi']),
        securityContext: restrictedContainer,
        volumeMounts: [
          { name: 'bundle', mountPath: '/bundle', readOnly: true },
          { name: 'app', mountPath: '/app' },
        ],
      },
      mount: { name: 'app', mountPath: '/app', readOnly: true },
      volumes: [
        { name: 'bundle', configMap: { name: this.configMap } },
        { name: 'app', emptyDir: { sizeLimit: '32Mi' } },
      ],
    };
  }
}
