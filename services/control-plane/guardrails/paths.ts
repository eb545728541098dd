import type { Guardrails } from '../../policy/guardrails.ts';
import { compileRegex } from '../../policy/regex/compile-regex.ts';
import type { Match } from '../../policy/schema.ts';

/** A path that is never faulted. */
export type ForbiddenPath = NonNullable<Guardrails['forbiddenPaths']>[number];

/**
 * The forbidden path that is all that a rule asks for, so that it would never do anything; undefined when there is none. Only what can be decided:
 * everything else is left out of what the rule hits, request by request.
 */
export function onlyForbidden(path: Match['path'], forbidden: readonly ForbiddenPath[]): ForbiddenPath | undefined {
  if (path === undefined) return undefined;
  const { exact, prefix, ignoreCase = false } = path;
  if (exact !== undefined && !ignoreCase) return forbidden.find((one) => matches(one, exact));
  if (prefix === undefined || ignoreCase) return undefined;
  return forbidden.find((one) => one.prefix !== undefined && fold(prefix, one).startsWith(fold(one.prefix, one)));
}

/** A matcher in words: `/healthz`, `/admin*`, `regex /v[0-9]+/health`. */
export function pathInWords({ exact, prefix, suffix, contains, regex, ignoreCase }: ForbiddenPath): string {
  const text = exact ?? (prefix === undefined ? undefined : `${prefix}*`) ?? (suffix === undefined ? undefined : `*${suffix}`);
  return `${text ?? (contains === undefined ? `regex ${regex}` : `*${contains}*`)}${ignoreCase === true ? ' in any case' : ''}`;
}

function matches(matcher: ForbiddenPath, path: string): boolean {
  const text = fold(path, matcher);
  const { exact, prefix, suffix, contains, regex, ignoreCase = false } = matcher;
  if (exact !== undefined) return text === fold(exact, matcher);
  if (prefix !== undefined) return text.startsWith(fold(prefix, matcher));
  if (suffix !== undefined) return text.endsWith(fold(suffix, matcher));
  if (contains !== undefined) return text.includes(fold(contains, matcher));
  return regex !== undefined && accepts(compileRegex(regex, { ignoreCase }), path);
}

/** Capitals of ASCII, as the filter compares. */
function fold(text: string, { ignoreCase }: ForbiddenPath): string {
  return ignoreCase === true ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
}

function accepts({ classes, classCount, start, next, accepting }: ReturnType<typeof compileRegex>, text: string): boolean {
  let state = start;
  for (const byte of Buffer.from(text)) state = next[state * classCount + (classes[byte] ?? 0)] ?? 0;
  return Boolean(accepting[state]);
}
