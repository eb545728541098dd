import * as pulumi from '@pulumi/pulumi';
import { apiTls, TLS_PORT } from './api-tls.ts';
import { Bundle } from './bundle.ts';
import { type ClusterFacts, OPERATOR } from './cluster-facts.ts';
import { meshNamespaces, type StackConfig } from './config.ts';
import { CONTROL_PLANE, CONTROL_PLANE_PORT, ControlPlane, ENDING_SECONDS } from './control-plane.ts';
import { Credentials } from './credentials.ts';
import { DemoApp } from './demo-app.ts';
import { egressTo, OTLP_PORT, PROMETHEUS_PORT } from './egress.ts';
import { Etcd, etcdNames } from './etcd.ts';
import { EtcdUpkeep } from './etcd-upkeep.ts';
import { guardrailsFile } from './guardrails.ts';
import { mirrored } from './images.ts';
import { InMesh, PEER_PORT, sidecar } from './in-mesh.ts';
import { MeshFilter } from './mesh-filter.ts';
import { Monitoring } from './monitoring.ts';
import { HfiNamespace } from './namespace.ts';
import { NetworkPolicies } from './network-policies.ts';
import type { PodAddition } from './pod-addition.ts';
import { prometheusAccess } from './prometheus.ts';
import { proxyTokenOf } from './proxy-token.ts';
import { telemetryAccess } from './telemetry.ts';
import { TokenReview } from './token-review.ts';
import { WasmServer } from './wasm-server.ts';

export interface HfiArgs {
  readonly config: StackConfig;
  /** What the build made: the filter and the tarball with the programs. */
  /** What the cluster says; undefined in a preview without one. */
  readonly cluster: ClusterFacts | undefined;
  readonly built: { readonly plugin: string; readonly bundle: string };
}

/** All of HFI, in the order in which it comes up: state, control plane, filter, then the demo. */
export class Hfi extends pulumi.ComponentResource {
  readonly credentials: Credentials;
  readonly etcdEndpoints: pulumi.Output<string[]>;
  readonly controlPlane: ControlPlane;
  readonly wasmServer: WasmServer;
  readonly meshFilter: MeshFilter;
  readonly demo: DemoApp | undefined;

  constructor(name: string, { config, cluster, built }: HfiArgs, opts?: pulumi.ComponentResourceOptions) {
    super('hfi:index:Hfi', name, {}, opts);
    const own = { parent: this };
    const image = (one: 'node' | 'nginx' | 'etcd'): string => mirrored(config.images[one], config.images.mirror);
    const ready = { readySeconds: config.readyWithin / 1000, pullSecret: config.images.pullSecret };
    const { external, backup, ...etcd } = config.etcd;
    const { inMesh, revision, tls, tokenReview, prometheus, telemetry } = config.controlPlane;

    const system = new HfiNamespace('system', { name: config.systemNamespace, kind: 'system', someInMesh: inMesh }, own);
    this.credentials = new Credentials(
      'credentials',
      { rotation: config.rotation, etcdNames: etcdNames(config.systemNamespace, etcd.members) },
      own,
    );
    new NetworkPolicies(
      'network',
      {
        namespace: system.name,
        ownEtcd: external === undefined,
        etcdUpkeep: external === undefined && backup.enabled,
        inMesh,
        tlsPort: tls === undefined ? undefined : TLS_PORT,
        kubernetesApi: tokenReview !== undefined,
        egress: [prometheus && egressTo(prometheus, PROMETHEUS_PORT), telemetry && egressTo(telemetry, OTLP_PORT)].filter(
          (rule) => rule !== undefined,
        ),
        monitoringNamespace: config.monitoring.enabled === false ? undefined : config.monitoring.namespace,
      },
      own,
    );
    const state =
      external === undefined
        ? new Etcd(
            'etcd',
            {
              ...etcd,
              ...ready,
              namespace: system.name,
              namespaceName: config.systemNamespace,
              image: image('etcd'),
              authority: this.credentials.authority,
              server: this.credentials.etcdServer,
              client: this.credentials.etcdClient,
            },
            own,
          )
        : { endpoints: pulumi.output([...external.endpoints]), clientSecret: external.secret };
    this.etcdEndpoints = state.endpoints;

    const bundle = new Bundle('bundle', { namespace: system.name, tarball: built.bundle, image: image('node') }, own);
    if (state instanceof Etcd && backup.enabled) {
      new EtcdUpkeep(
        'etcd-upkeep',
        {
          ...backup,
          namespace: system.name,
          image: image('node'),
          bundle,
          pullSecret: config.images.pullSecret,
          etcd: { members: state.memberEndpoints, secret: state.clientSecret },
          storageClass: etcd.storageClass,
          deletedWith: system.namespace,
        },
        own,
      );
    }
    const additions: PodAddition[] = [
      ...(tls === undefined ? [] : [apiTls(tls.secret)]),
      ...(prometheus === undefined ? [] : [prometheusAccess(prometheus)]),
      ...(telemetry === undefined ? [] : [telemetryAccess(telemetry)]),
      ...(inMesh ? [sidecar({ revision, drainSeconds: ENDING_SECONDS, etcdEndpoints: state.endpoints })] : []),
    ];
    if (tokenReview !== undefined) {
      const { addition } = new TokenReview(
        'token-review',
        { ...tokenReview, namespace: system.name, namespaceName: config.systemNamespace, account: CONTROL_PLANE },
        own,
      );
      additions.push(addition);
    }
    if (config.guardrails !== undefined) additions.push(guardrailsFile(config.guardrails, system.name, own));
    if (inMesh) new InMesh('in-mesh', { namespace: system.name, meshNamespaces: meshNamespaces(config) }, own);
    this.controlPlane = new ControlPlane(
      'control-plane',
      {
        ...ready,
        namespace: system.name,
        replicas: config.controlPlane.replicas,
        logLevel: config.controlPlane.logLevel,
        program: config.controlPlane.image === undefined ? { nodeImage: image('node'), bundle } : { image: config.controlPlane.image },
        etcd: { endpoints: state.endpoints, secret: state.clientSecret, login: external?.login ?? 'certificate' },
        tokens: this.credentials.tokens,
        meshNamespaces: meshNamespaces(config),
        peerPort: inMesh ? PEER_PORT : undefined,
        additions,
        audit: { ...config.controlPlane.audit, key: this.credentials.auditKey },
        history: config.controlPlane.history,
      },
      state instanceof Etcd ? { ...own, dependsOn: [state] } : own,
    );
    this.wasmServer = new WasmServer('wasm-server', { ...ready, namespace: system.name, image: image('nginx'), plugin: built.plugin }, own);

    const demoNamespace = config.demo.enabled ? new HfiNamespace('demo', { name: config.demo.namespace, kind: 'mesh' }, own) : undefined;
    // New tokens are known to the control plane before a proxy has them.
    this.meshFilter = new MeshFilter(
      'mesh-filter',
      {
        namespaces: meshNamespaces(config),
        module: this.wasmServer,
        controlPlane: {
          host: this.controlPlane.host,
          port: CONTROL_PLANE_PORT,
          token: (namespace) => this.credentials.tokens.apply(({ proxy }) => proxyTokenOf(namespace, proxy.current)),
        },
        leaseMs: config.mesh.lease,
        maxDelayedRequests: config.mesh.maxDelayedRequests,
        metricsFilter: config.mesh.metricsFilter,
      },
      { ...own, dependsOn: [this.controlPlane, this.wasmServer, ...(demoNamespace === undefined ? [] : [demoNamespace])] },
    );
    if (config.monitoring.enabled !== false) {
      new Monitoring(
        'monitoring',
        {
          namespace: system.name,
          meshNamespaces: meshNamespaces(config),
          ownEtcd: external === undefined,
          controlPlanePort: inMesh ? 'peers' : 'http',
          operator: config.monitoring.enabled === true || OPERATOR.every((one) => cluster?.resources.get(one) === true),
          labels: config.monitoring.labels,
        },
        own,
      );
    }
    if (demoNamespace !== undefined) {
      const demoBundle = new Bundle('demo-bundle', { namespace: demoNamespace.name, tarball: built.bundle, image: image('node') }, own);
      this.demo = new DemoApp(
        'demo-app',
        { ...ready, namespace: demoNamespace.name, image: image('node'), bundle: demoBundle },
        { ...own, dependsOn: [this.meshFilter] },
      );
    }
    this.registerOutputs({});
  }
}
