/** What of a proxy shows whether it is well. */
export interface ProxyState {
  readonly connected: boolean;
  readonly current: boolean;
  readonly layoutFits: boolean;
  readonly unreadable: readonly string[];
  readonly refused: { readonly count: number; readonly reason: string } | null;
  readonly lastSeen: string;
}

/** Whether somebody should look at a proxy: not one that is gone, perhaps scaled down, nor one that takes a change this moment. */
export function isUnwell(proxy: ProxyState): boolean {
  return proxy.connected && (!proxy.layoutFits || proxy.unreadable.length > 0 || (!proxy.current && proxy.refused !== null));
}

/** What is wrong with a proxy, in words; undefined when nothing is. */
export function troubleOf(proxy: ProxyState): string | undefined {
  if (!proxy.connected) return `not connected, last seen ${proxy.lastSeen}`;
  if (!proxy.layoutFits) return 'its filter is of another version: roll the filter out again';
  if (proxy.unreadable.length > 0) return `can not read its ${proxy.unreadable.join(', ')}: no policy selects it`;
  if (proxy.current) return undefined;
  return proxy.refused === null ? 'not current yet' : `refused ${proxy.refused.count} rulesets: ${proxy.refused.reason}`;
}
