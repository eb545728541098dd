import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Flags } from '@oclif/core';
import { FINDINGS, type Verification } from '../../../services/audit/finding.ts';
import type { Head } from '../../../services/audit/seal.ts';
import { AuditKey } from '../../../services/audit/signature.ts';
import { HfiCommand } from '../../base.ts';
import { readSecret } from '../../contexts.ts';
import { EXIT } from '../../exit-codes.ts';
import { Failure } from '../../failure.ts';
import { verifyLines, verifyLive } from '../../verify-audit.ts';

export default class AuditVerify extends HfiCommand {
  static override summary = 'Check that nothing in the audit was changed, removed, put in or moved.';
  static override description =
    'Computes every hash here and compares it with the chain of seals; what is wrong is named, with exit code 1. Note the head that it prints elsewhere: with --head a later run shows that nothing up to it was taken away.';
  static override examples = [
    { description: 'The audit of the control plane', command: '<%= config.bin %> audit verify' },
    { description: 'Signatures too', command: '<%= config.bin %> audit verify --key-file audit.key' },
    { description: 'What was exported with --seals', command: '<%= config.bin %> audit verify -f audit.jsonl' },
  ];
  static override flags = {
    filename: Flags.string({
      char: 'f',
      helpValue: 'FILE|-',
      description: 'An audit exported with --seals, instead of that of the control plane.',
    }),
    'key-file': Flags.string({
      multiple: true,
      default: [],
      helpValue: 'FILE',
      description: 'A file with the audit key, to check signatures; several when the key was changed.',
    }),
    head: Flags.string({ helpValue: 'N:HASH', description: 'A head that was printed earlier: it must still be there.' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(AuditVerify);
    this.use(flags);
    const options = { keys: flags['key-file'].map(keyIn), known: flags.head === undefined ? undefined : headOf(flags.head) };
    const found =
      flags.filename === undefined
        ? await verifyLive(this.client(flags), options)
        : await verifyLines(flags.filename, linesOf(flags.filename), options);
    if (this.format !== 'table') await this.printValue(found);
    else this.show(found);
    if (!found.ok) process.exitCode = EXIT.refused;
  }

  private show(found: Verification): void {
    const { entries, seals, beforeChain, waiting, forgotten, signatures, head, findings } = found;
    this.say(`${findings.length === 0 ? 'Nothing is wrong' : `${findings.length} wrong`}: ${entries} entries, ${seals} seals`);
    for (const { kind, of, detail } of findings) {
      this.say(
        `  ${kind.startsWith('seal') || kind === 'anchor-changed' || kind === 'head-missing' ? 'seal' : 'entry'} ${of} ${FINDINGS[kind]}: ${detail}`,
      );
    }
    if (beforeChain > 0)
      this.say(`${beforeChain} entries are from before the chain: unchanged since it began; what was before that, nobody can tell`);
    if (waiting > 0) this.say(`${waiting} entries are so new that they wait for their seal`);
    if (forgotten !== null) this.say(`${forgotten.entries} older entries, up to ${forgotten.until}, were removed as configured`);
    if (signatures.checked > 0) this.say(`${signatures.checked} signatures fit or are named above`);
    if (signatures.unchecked > 0) this.say(`${signatures.unchecked} signatures were not checked: give the key with --key-file`);
    if (head !== null) this.say(`Head ${head.sequence}:${head.hash}`);
  }
}

/** @throws Failure */
function keyIn(file: string): AuditKey {
  const text = readSecret(file)?.trim();
  if (text === undefined || text === '')
    throw new Failure(`The key file ${file} ${text === undefined ? 'is not there' : 'is empty'}.`, EXIT.usage);
  return new AuditKey(text);
}

/** @throws Failure */
function headOf(text: string): Head {
  const [, sequence, hash] = /^(\d{1,12}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined) {
    throw new Failure(
      `--head is "${text}"; it must be what hfi audit verify printed behind "Head": a number, a colon and 64 hexadecimal digits.`,
      EXIT.usage,
    );
  }
  return { sequence: Number(sequence), hash };
}

/** @throws Failure */
async function* linesOf(file: string): AsyncGenerator<string> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    throw new Failure(`${file} can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`, EXIT.usage);
  }
}
