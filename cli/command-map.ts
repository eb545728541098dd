import type { Config } from '@oclif/core';
import type { HfiCommand } from './base.ts';

export type CommandClass = Omit<typeof HfiCommand, 'prototype'> & (new (argv: string[], config: Config) => HfiCommand);

type Load = () => Promise<{ default: unknown }>;

/** Every command, loaded only when it runs. The key is what is typed. */
export const COMMANDS: Readonly<Record<string, Load>> = {
  audit: () => import('./commands/audit.ts'),
  'audit export': () => import('./commands/audit/export.ts'),
  'audit list': () => import('./commands/audit/list.ts'),
  'audit verify': () => import('./commands/audit/verify.ts'),
  backup: () => import('./commands/backup.ts'),
  completion: () => import('./commands/completion.ts'),
  'context add': () => import('./commands/context/add.ts'),
  'context delete': () => import('./commands/context/delete.ts'),
  'context list': () => import('./commands/context/list.ts'),
  'context use': () => import('./commands/context/use.ts'),
  doctor: () => import('./commands/doctor.ts'),
  logs: () => import('./commands/logs.ts'),
  metrics: () => import('./commands/metrics.ts'),
  'policy apply': () => import('./commands/policy/apply.ts'),
  'policy delete': () => import('./commands/policy/delete.ts'),
  'policy describe': () => import('./commands/policy/describe.ts'),
  'policy get': () => import('./commands/policy/get.ts'),
  'policy history': () => import('./commands/policy/history.ts'),
  'policy list': () => import('./commands/policy/list.ts'),
  'port-forward': () => import('./commands/port-forward.ts'),
  'proxy list': () => import('./commands/proxy/list.ts'),
  'sandbox down': () => import('./commands/sandbox/down.ts'),
  'sandbox restart': () => import('./commands/sandbox/restart.ts'),
  'sandbox run': () => import('./commands/sandbox/run.ts'),
  'sandbox status': () => import('./commands/sandbox/status.ts'),
  'sandbox up': () => import('./commands/sandbox/up.ts'),
  status: () => import('./commands/status.ts'),
  test: () => import('./commands/test.ts'),
};

/** One line on each command, for the overview: the commands themselves are not loaded for it. A test compares them. */
export const SUMMARIES: Readonly<Record<string, string>> = {
  audit: 'Show who changed what, newest first: the same as hfi audit list.',
  'audit export': 'Write the audit as JSON Lines: one entry a line, on standard output.',
  'audit list': 'Show who changed what, newest first.',
  'audit verify': 'Check that nothing in the audit was changed, removed, put in or moved.',
  backup: 'Write all policies as a file that hfi policy apply takes back.',
  completion: 'Print the completion script for bash, zsh or fish.',
  'context add': 'Add a control plane to the contexts and use it.',
  'context delete': 'Remove a context.',
  'context list': 'List the contexts.',
  'context use': 'Make a context the current one.',
  doctor: 'Look at everything that must work, and say what to do about what does not.',
  logs: 'Show the logs of the filter or of a part of the stack.',
  metrics: 'Show what each proxy injected: its three fault metrics.',
  'policy apply': 'Create or change policies from files.',
  'policy delete': 'Delete policies: their faults end at once.',
  'policy describe': 'Show a policy in words, whom it selects, who runs it, and how often it hit.',
  'policy get': 'Show a policy as it is kept, with every default filled in.',
  'policy history': 'List what is over: each run of a policy, how it ended and why, the latest first.',
  'policy list': 'List the policies.',
  'port-forward': "Make a part of the stack reachable on this machine's loopback, until Ctrl-C.",
  'proxy list': 'List the connected proxies and what they run.',
  'sandbox down': 'End the sandbox and everything that it started.',
  'sandbox restart': 'End one part of the sandbox, if it runs, and start it again.',
  'sandbox run': 'Put a faultable sidecar before a service of your own.',
  'sandbox status': 'Show what of the sandbox runs; exit code 3 while it is not fully up.',
  'sandbox up': 'Run etcd, the control plane and a demo behind real Envoys on this machine.',
  status: 'Show on one screen how everything is.',
  test: 'Prove on the live cluster that faults work: break the demo app, see it, and mend it.',
};
