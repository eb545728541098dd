/**
 * What differs between two values, as a unified diff of their YAML; empty when nothing does.
 *
 * @param before undefined when there is nothing yet
 */
export async function differences(before: unknown, after: unknown, name: string): Promise<string> {
  const [{ createTwoFilesPatch }, { stringify }] = await Promise.all([import('diff'), import('yaml')]);
  const text = (value: unknown): string =>
    value === undefined ? '' : stringify(value, { sortMapEntries: true, aliasDuplicateObjects: false });
  const [old, fresh] = [text(before), text(after)];
  if (old === fresh) return '';
  const from = before === undefined ? '/dev/null' : `policy/${name} (in force)`;
  const lines = createTwoFilesPatch(from, `policy/${name} (applied)`, old, fresh, '', '', { context: 3 }).split('\n');
  // The first line is a ruler.
  return lines.slice(1).join('\n');
}
