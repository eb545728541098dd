/** Reads single environment variables, and says what is wrong with one that can't be used. */

/** A variable that can't be used; the message names it and says what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws ConfigError when only one of the two is set */
export function together(env: Environment, one: string, other: string): void {
  const missing = [one, other].filter((name) => env[name] === undefined);
  if (missing.length === 1) throw new ConfigError(`${missing[0]} is not set; ${one} and ${other} go together`);
}

/** @throws ConfigError when the text is no URL, or has a login */
export function url(name: string, text: string): string {
  // Whatever stands before an @ may be a password: it goes into no message.
  if (text.includes('@')) throw new ConfigError(`${name} has a URL with an "@"; a login does not go into the URL`);
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new ConfigError(`${name} has "${text}"; it must be a URL, such as http://127.0.0.1:2379`);
  return text;
}

/** URLs with commas between them. @throws ConfigError */
export function urls(name: string, text: string): string[] {
  return text.split(',').map((part) => url(name, part.trim()));
}

/** @throws ConfigError when it is none of them */
export function oneOf(name: string, text: string, allowed: readonly string[]): string {
  if (!allowed.includes(text)) throw new ConfigError(`${name} is "${text}"; it must be one of ${allowed.join(', ')}`);
  return text;
}

/** A whole number within its limits. @throws ConfigError */
export function whole(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new ConfigError(`${name} is "${text}"; it must be a whole number from ${least} to ${most}`);
  }
  return value;
}
