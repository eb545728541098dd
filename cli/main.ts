import { nearest } from '../services/policy/nearest.ts';
import { COMMANDS, SUMMARIES } from './command-map.ts';
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts';

/**
 * Finds the command that is typed and runs it. This takes the place of oclif's own start, which reads plugins and manifests
 * from the disk: only the command that runs is loaded.
 */
const VERSION = '0.1.0';

export async function main(argv: readonly string[]): Promise<void> {
  const [first] = argv;
  if (first === undefined || first === '--help' || first === '-h' || (first === 'help' && argv.length === 1))
    return overview(process.stdout);
  if (first === '--version' || first === 'version') {
    process.stdout.write(`hfi/${VERSION} node-${process.version}\n`);
    return;
  }
  const words = first === 'help' ? [...argv.slice(1), '--help'] : [...argv];
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((candidate) => Object.hasOwn(COMMANDS, candidate));
  if (name === undefined) return unknown(words);
  const { runCommand } = await import('./run-command.ts');
  await runCommand(name, words.slice(name.split(' ').length), VERSION);
}

function overview(out: NodeJS.WritableStream, topic?: string): void {
  const names = Object.keys(COMMANDS).filter((name) => topic === undefined || name.startsWith(`${topic} `));
  const width = Math.max(...names.map((name) => name.length));
  out.write('Fault injection for Istio service meshes.\n\nUsage: hfi COMMAND [flags]\n\nCommands:\n');
  for (const name of names) out.write(`  ${name.padEnd(width)}  ${SUMMARIES[name]}\n`);
  out.write('\nhfi COMMAND --help says more on a command. Exit codes:\n');
  for (const [code, meaning] of Object.entries(EXIT_MEANINGS)) out.write(`  ${code}  ${meaning}\n`);
}

function unknown(words: readonly string[]): void {
  const [topic = '', second] = words;
  const isTopic = Object.keys(COMMANDS).some((name) => name.startsWith(`${topic} `));
  if (isTopic && (second === undefined || second === '--help' || second === '-h')) {
    overview(second === undefined ? process.stderr : process.stdout, topic);
    if (second === undefined) process.exitCode = EXIT.usage;
    return;
  }
  const typed = isTopic ? `${topic} ${second}` : topic;
  const known = Object.keys(COMMANDS);
  const near = nearest(typed, isTopic ? known : [...known.map((name) => name.split(' ')[0] ?? name), ...known]);
  process.stderr.write(
    `error: there is no command "hfi ${typed}"${near === undefined ? '' : `; did you mean "hfi ${near}"?`}\nSee: hfi --help\n`,
  );
  process.exitCode = EXIT.usage;
}
