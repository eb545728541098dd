import { hash } from 'node:crypto';

/**
 * The keys by which proxies report what they counted of a rule. Those of one run of a policy follow one another, so that one hash is
 * enough for all of them.
 *
 * @param policy its name
 * @param appliedAt of the run, in milliseconds since the epoch
 * @returns the key of its first rule: 63 bits, so that none of the keys behind it is 0 or 1, which stand for no rule
 */
export function runKey(policy: string, appliedAt: number): bigint {
  return (BigInt(`0x${hash('sha256', `${policy}\n${appliedAt}`, 'hex').slice(0, 16)}`) >> 1n) + 2n;
}

/** The key of a rule by its index. */
export function ruleKey(first: bigint, index: number): bigint {
  return first + BigInt(index);
}

/** As reports have it: 16 hexadecimal digits. */
export function keyText(key: bigint): string {
  return key.toString(16).padStart(16, '0');
}
