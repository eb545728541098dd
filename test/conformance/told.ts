import type { Header } from './case.ts';

/** Envoy tells in a header of each answer who made it, and which rule the filter noted for the access log. */
const NAME = 'x-conformance-told';
const TOLD = ['%RESPONSE_CODE_DETAILS%', '%FILTER_STATE(wasm.hfi_fault:PLAIN)%', '%FILTER_STATE(wasm.hfi_shadow:PLAIN)%'].join(' ');
/** How long Envoy keeps a connection open that it resets: a second unless it is told otherwise. */
const DELAYED_CLOSE = '0.005s';

interface Listener {
  readonly filter_chains: readonly {
    readonly filters: readonly { readonly typed_config: { readonly route_config: { readonly virtual_hosts: readonly object[] } } }[];
  }[];
}

/** The same bootstrap, with that header. */
export function withTold(bootstrap: object): object {
  const { static_resources: resources, ...rest } = bootstrap as { static_resources: { listeners: readonly Listener[] } };
  const added = { response_headers_to_add: [{ header: { key: NAME, value: TOLD } }] };
  const listeners = resources.listeners.map((listener) => ({
    ...listener,
    filter_chains: listener.filter_chains.map((chain) => ({
      ...chain,
      filters: chain.filters.map((filter) => {
        const { route_config: routes, ...manager } = filter.typed_config;
        const hosts = routes.virtual_hosts.map((host) => ({ ...host, ...added }));
        return {
          ...filter,
          typed_config: { ...manager, delayed_close_timeout: DELAYED_CLOSE, route_config: { ...routes, virtual_hosts: hosts } },
        };
      }),
    })),
  }));
  return { ...rest, static_resources: { ...resources, listeners } };
}

export interface Told {
  /** What else the answer says. */
  readonly headers: readonly Header[];
  readonly maker: 'service' | 'filter' | 'envoy';
  /** The rule that did something, or only counted it: `<policy>/<index>`. */
  readonly fault?: string | undefined;
  readonly shadow?: string | undefined;
}

export function toldBy(headers: readonly Header[]): Told {
  const [details = '', fault, shadow] = headers.find(([name]) => name.toLowerCase() === NAME)?.[1].split(' ') ?? [];
  const maker = details.startsWith('hfi_') ? 'filter' : details === 'via_upstream' ? 'service' : 'envoy';
  const rule = (note: string | undefined): string | undefined => (note === '-' || note === '' ? undefined : note);
  return { headers: headers.filter(([name]) => name.toLowerCase() !== NAME), maker, fault: rule(fault), shadow: rule(shadow) };
}
