/** A guardrail's limit on one line: hours as `mon,tue 09:00-17:00 UTC`, paths as they are written. */
export function limitInWords(value: unknown): string {
  if (value === null) return 'lifted';
  if (!Array.isArray(value)) return String(value);
  return value.map((one: Readonly<Record<string, unknown>>) => ('days' in one ? hoursInWords(one) : pathInWords(one))).join('; ');
}

function hoursInWords({ days, from, to, zone }: Readonly<Record<string, unknown>>): string {
  return `${(days as readonly string[]).join(',')} ${from}-${to} ${zone}`;
}

function pathInWords({ ignoreCase, ...matcher }: Readonly<Record<string, unknown>>): string {
  const [kind, text] = Object.entries(matcher)[0] ?? [];
  return `${kind === 'exact' ? '' : `${kind} `}${text}${ignoreCase === true ? ' in any case' : ''}`;
}
