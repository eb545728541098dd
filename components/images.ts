/**
 * The stock images, by exact tag. Each runs as non-root with a read-only root file system.
 *
 * Where the tags are known from: node and nginx from Dockerfiles that use them with their digest; etcd from Kubernetes'
 * `cmd/kubeadm/app/constants` (DefaultEtcdVersion in v1.37.2).
 */
export const images = {
  node: 'docker.io/library/node:24.21.0-bookworm-slim',
  nginx: 'docker.io/nginxinc/nginx-unprivileged:1.29.4-alpine',
  etcd: 'registry.k8s.io/etcd:3.7.0-0',
} as const;

/**
 * The image to pull.
 *
 * @param mirror a registry with or without a path, which takes the place of the image's own registry
 */
export function mirrored(image: string, mirror: string | undefined): string {
  if (mirror === undefined) return image;
  const [registry = '', ...rest] = image.split('/');
  const path = rest.length > 0 && /[.:]|^localhost$/.test(registry) ? rest.join('/') : image;
  return `${mirror.replace(/\/$/, '')}/${path}`;
}
