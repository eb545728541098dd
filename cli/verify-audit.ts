import type { ShownEntry } from '../services/audit/content.ts';
import type { Verification } from '../services/audit/finding.ts';
import type { Anchor, Head, Seal } from '../services/audit/seal.ts';
import { Verifier, type VerifierOptions } from '../services/audit/verifier.ts';
import { allEntries, type SealPage, sealPages } from './audit-query.ts';
import type { Client } from './client.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';

/** Checks the audit of a control plane while others go on writing it: the seals, then the entries, then what was sealed meanwhile. */
export async function verifyLive(client: Client, options: VerifierOptions): Promise<Verification> {
  const verifier = new Verifier(options);
  let seen = 0;
  let anchored = false;
  for await (const page of sealPages(client, 0)) {
    if (!anchored) verifier.takeAnchor(page.anchor ?? undefined);
    anchored = true;
    for (const seal of page.items) verifier.takeSeal(seal);
    seen = page.items.at(-1)?.sequence ?? seen;
  }
  for await (const entry of allEntries(client, { order: 'newest' })) verifier.takeEntry(entry);
  let end: SealPage | undefined;
  for await (const page of sealPages(client, seen)) {
    for (const seal of page.items) verifier.takeSeal(seal, true);
    end = page;
  }
  return verifier.finish({ waiting: new Set(end?.waiting), head: end?.head, anchor: end?.anchor ?? undefined });
}

/** A line of `hfi audit export --seals` that is no entry. The head comes last. */
export type ChainLine = { readonly anchor: Anchor | null } | { readonly seal: Seal } | { readonly head: Head };

/** Checks an exported audit: lines of JSON, with `--seals`. @throws Failure */
export async function verifyLines(source: string, lines: AsyncIterable<string>, options: VerifierOptions): Promise<Verification> {
  const verifier = new Verifier(options);
  let anchor: Anchor | undefined;
  let head: Head | undefined;
  let number = 0;
  for await (const text of lines) {
    number++;
    if (text.trim() === '') continue;
    const line = parsed(text, `${source}:${number}`);
    if ('seal' in line) verifier.takeSeal(line.seal as Seal);
    else if ('head' in line) head = line.head as Head;
    else if ('anchor' in line) {
      anchor = (line.anchor as Anchor | null) ?? undefined;
      verifier.takeAnchor(anchor);
    } else if (typeof line.id === 'string') verifier.takeEntry(line as unknown as ShownEntry);
    else throw new Failure(`${source}:${number} is no line of hfi audit export.`, EXIT.refused);
  }
  if (head === undefined)
    throw new Failure(`${source} has no seals, or its end is missing: export it with hfi audit export --seals.`, EXIT.refused);
  return verifier.finish({ waiting: new Set(), head, anchor });
}

function parsed(text: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (typeof value !== 'object' || value === null) throw new Failure(`${place} is no line of hfi audit export.`, EXIT.refused);
  return value as Record<string, unknown>;
}
