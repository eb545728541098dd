import { readFileSync } from 'node:fs';
import { images } from '../../../components/images.ts';
import type { Manifest } from '../../support/kubernetes-objects.ts';

const SCRIPT = readFileSync(new URL('pod.mjs', import.meta.url), 'utf8');

/** A namespace of the tests' own, with sidecars, that outlives the stack. */
export const SHOP = 'shop';

export function injectedNamespace(name: string): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { 'istio-injection': 'enabled' } } };
}

/** What a service is made of: the script, a Deployment and a Service. */
export function service(name: string, replicas: number, namespace = SHOP): Manifest[] {
  const metadata = { name, namespace };
  const labels = { app: name };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'pod.mjs': SCRIPT } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports: [{ name: 'http', port: 8080 }] } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: {
          // At Istio's own level the filter tells only of trouble.
          metadata: { labels, annotations: { 'sidecar.istio.io/componentLogLevel': 'wasm:info' } },
          spec: {
            serviceAccountName: name,
            terminationGracePeriodSeconds: 10,
            containers: [
              {
                name: 'app',
                image: images.node,
                command: ['node', '/app/pod.mjs'],
                ports: [{ containerPort: 8080 }],
                readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1 },
                // Until the mesh has heard that the pod goes.
                lifecycle: { preStop: { exec: { command: ['sleep', '3'] } } },
                volumeMounts: [{ name: 'app', mountPath: '/app' }],
              },
            ],
            volumes: [{ name: 'app', configMap: { name } }],
          },
        },
      },
    },
  ];
}
