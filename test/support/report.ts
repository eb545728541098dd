import { keyText } from '../../services/control-plane/ruleset/rule-key.ts';
import type { Replica, Reply } from './control-plane.ts';

/** The process of the proxy of which a report is, unless told otherwise. */
export const EPOCH = '00000000000000aa';

/** Reports what a proxy of the workload `frontend-v1` in `demo` counted since it began, by the rules' keys. */
export function report(
  replica: Replica,
  rules: readonly { readonly key: bigint; readonly [counter: string]: number | bigint }[],
  more: { readonly proxy?: string; readonly epoch?: string; readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<Reply> {
  const body = more.body ?? JSON.stringify({ rules: rules.map(({ key, ...counts }) => ({ key: keyText(key), ...counts })) });
  return replica.ask('POST', '/v1/reports', {
    role: 'proxy',
    body,
    headers: {
      'content-type': 'application/json',
      'x-hfi-proxy': more.proxy ?? 'proxy-1',
      'x-hfi-namespace': 'demo',
      'x-hfi-workload': 'frontend-v1',
      'x-hfi-labels': 'app=frontend',
      'x-hfi-epoch': more.epoch ?? EPOCH,
      ...more.headers,
    },
  });
}
