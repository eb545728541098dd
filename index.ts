import * as pulumi from '@pulumi/pulumi';
import { buildBundle } from './build/bundle.ts';
import { buildFilter } from './build/filter.ts';
import { checkCluster } from './components/check-cluster.ts';
import { meshNamespaces, readStackConfig } from './components/config.ts';
import { Hfi } from './components/stack.ts';
import manifest from './package.json' with { type: 'json' };

const settings = pulumi.runtime.allConfig();
const config = readStackConfig(settings, pulumi.getProject());
const cluster = await checkCluster(config, settings);
const [filter, bundle] = await Promise.all([buildFilter(), buildBundle()]);

const hfi = new Hfi('hfi', { config, cluster, built: { plugin: filter.path, bundle } });

/** HFI's version. */
export const version: string = manifest.version;

/** The namespaces: HFI's own, and those whose sidecars have the filter. */
export const namespaces: { readonly system: string; readonly mesh: string[]; readonly demo: string | null } = {
  system: config.systemNamespace,
  mesh: meshNamespaces(config),
  demo: config.demo.enabled ? config.demo.namespace : null,
};

/** The control plane's address inside the cluster; `hfi` reaches it through the Kubernetes API. */
export const controlPlaneEndpoint: pulumi.Output<string> = hfi.controlPlane.endpoint;

/** The administrator's token; `pulumi stack output apiToken --show-secrets` shows it. */
export const apiToken: pulumi.Output<string> = pulumi.secret(hfi.credentials.tokens.apply(({ admin }) => admin.current));

/** Tokens for those who may only change policies, and those who may only look. */
export const tokens: pulumi.Output<{ editor: string; viewer: string }> = pulumi.secret(
  hfi.credentials.tokens.apply(({ editor, viewer }) => ({ editor: editor.current, viewer: viewer.current })),
);

/** What signs the audit: `hfi audit verify --key-file` checks with it. Keep a copy outside: whoever has it can forge entries. */
export const auditKey: pulumi.Output<string> = pulumi.secret(hfi.credentials.auditKey);

/** Where the sidecars fetch the filter, and its SHA-256. */
export const wasmUrl: pulumi.Output<string> = hfi.wasmServer.url;
export const wasmSha256: string = hfi.wasmServer.sha256;

/** Where the control plane's state is. */
export const etcdEndpoints: pulumi.Output<string[]> = hfi.etcdEndpoints;
