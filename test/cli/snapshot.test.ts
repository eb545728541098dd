import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { COMMANDS, type CommandClass } from '../../cli/command-map.ts';
import { EXIT_MEANINGS } from '../../cli/exit-codes.ts';

/**
 * The command line is a contract: scripts depend on each name here. Taking one away or giving it another meaning breaks them; after a
 * change that is meant, write the snapshot anew with `UPDATE_SNAPSHOT=1 npm test -- cli`.
 */
const SNAPSHOT = new URL('./commands.snapshot.json', import.meta.url);

function shape(command: CommandClass): object {
  const flags = Object.entries({ ...command.baseFlags, ...command.flags }).map(([name, flag]) => {
    const {
      char,
      type,
      required,
      multiple,
      options,
      env,
      default: fallback,
    } = flag as typeof flag & { multiple?: boolean; options?: string[] };
    return [
      name,
      { char, type, required, multiple, options, env, default: typeof fallback === 'function' ? undefined : fallback },
    ] as const;
  });
  const args = Object.entries(command.args ?? {}).map(([name, { required, options }]) => ({ name, required, options }));
  return { args, strict: command.strict, flags: Object.fromEntries(flags.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

it('hfi: commands, arguments, flags and exit codes are those of the snapshot', async () => {
  const commands: Record<string, object> = {};
  for (const [name, load] of Object.entries(COMMANDS)) commands[name] = shape((await load()).default as CommandClass);
  const now: unknown = JSON.parse(JSON.stringify({ exitCodes: EXIT_MEANINGS, commands }));
  if (process.env.UPDATE_SNAPSHOT === '1') writeFileSync(SNAPSHOT, `${JSON.stringify(now, null, 2)}\n`);
  assert.deepEqual(now, JSON.parse(readFileSync(SNAPSHOT, 'utf8')));
});
