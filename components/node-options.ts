/**
 * What Node is started with for the control plane. V8 lets its young generation grow to 128 MiB when many proxies are answered at once, most of it
 * garbage; held to this, 10,000 held polls take a fifth less memory, and no change takes longer (`npm run bench:fleet`, docs/performance.md).
 */
export const NODE_OPTIONS = '--max-semi-space-size=16';
