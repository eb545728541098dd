import { Args } from '@oclif/core';
import { HfiCommand } from '../base.ts';
import { COMMANDS } from '../command-map.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export default class Completion extends HfiCommand {
  static override summary = 'Print the completion script for bash, zsh or fish.';
  static override examples = [
    { description: 'For this bash', command: 'source <(<%= config.bin %> completion bash)' },
    { description: 'For every fish', command: '<%= config.bin %> completion fish > ~/.config/fish/completions/hfi.fish' },
  ];
  static override args = { shell: Args.string({ required: true, options: [...SHELLS], description: 'The shell.' }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Completion);
    this.use(flags);
    const { bash, zsh, fish } = scripts(topics());
    process.stdout.write({ bash, zsh, fish }[args.shell as (typeof SHELLS)[number]]);
  }
}

/** First words with the words that may follow each. */
function topics(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of Object.keys(COMMANDS)) {
    const [first = '', second] = name.split(' ');
    found.set(first, [...(found.get(first) ?? []), ...(second === undefined ? [] : [second])]);
  }
  return found;
}

function scripts(words: Map<string, string[]>): Record<(typeof SHELLS)[number], string> {
  const first = [...words.keys()].join(' ');
  const cases = [...words].filter(([, after]) => after.length > 0).map(([topic, after]) => `    ${topic}) words="${after.join(' ')}" ;;`);
  const body = (at: string, one: string): string =>
    `  local words=""\n  if [ "${at}" -eq 1 ]; then words="${first}"; else case "${one}" in\n${cases.join('\n')}\n  esac; fi\n`;
  return {
    bash: `_hfi() {\n${body('$COMP_CWORD', '${COMP_WORDS[1]}')}  if [ "$COMP_CWORD" -gt 2 ]; then COMPREPLY=( $(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}") ); return; fi\n  COMPREPLY=( $(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}") )\n}\ncomplete -F _hfi hfi\n`,
    zsh: `#compdef hfi\n_hfi() {\n${body('$((CURRENT - 1))', '${words[2]}').replaceAll('words=', 'found=').replace('local found', 'local found')}  if [ "$CURRENT" -gt 3 ]; then _files; else compadd -- \${=found}; fi\n}\ncompdef _hfi hfi\n`,
    fish: `complete -c hfi -n __fish_use_subcommand -f -a "${first}"\n${[...words]
      .filter(([, after]) => after.length > 0)
      .map(([topic, after]) => `complete -c hfi -n "__fish_seen_subcommand_from ${topic}" -a "${after.join(' ')}"\n`)
      .join('')}`,
  };
}
