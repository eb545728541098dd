import type { SandboxState } from './state.ts';

/** The short screen once all is up: addresses, what to try, how to stop. */
export function upScreen(state: SandboxState, stop: string): string {
  const addresses: [string, string][] = [
    ['control plane', state.controlPlaneUrl],
    ...state.proxies.map((proxy): [string, string] => [proxy.name, `${proxy.inboundUrl}   (Envoy admin ${proxy.adminUrl})`]),
  ];
  const first = state.proxies[0];
  const curl = first === undefined ? [] : [`  curl -i ${first.inboundUrl.replace('127.0.0.1', 'localhost')}/`];
  return [
    'The sandbox is up.',
    '',
    ...addresses.map(([name, url]) => `  ${name.padEnd(14)} ${url}`),
    '',
    'Try, in a second terminal:',
    '',
    '  npx hfi policy apply -f examples/abort-policy.yaml --wait',
    ...curl,
    '  npx hfi policy delete abort-frontend --yes',
    '',
    stop,
  ].join('\n');
}
