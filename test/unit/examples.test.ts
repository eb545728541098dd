import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { policy } from '../../services/policy/schema.ts';

const FOLDER = new URL('../../examples/', import.meta.url);

/** What the issue of the first release asks for; a new example is added here and in `examples/README.md`. */
const SUBJECTS = [
  'abort',
  'broken-answer',
  'canary-user',
  'delay',
  'delayed-timed',
  'first-hundred',
  'grpc',
  'header',
  'late-stage',
  'lost-answer',
  'percentage',
  'service-targeted',
  'slow-tail',
  'time-limited',
  'wrong-version',
];

const read = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8');

describe('examples', () => {
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .sort();

  it('has one file a subject and no other', () => {
    assert.deepEqual(
      files,
      SUBJECTS.map((subject) => `${subject}-policy.yaml`),
    );
  });

  it('gives each policy its own name, so that all can be applied together', () => {
    const names = files.map((file) => policy.parse(parseAllDocuments(read(file))[0]?.toJS()).metadata.name);
    assert.equal(new Set(names).size, files.length);
  });

  for (const file of files) {
    describe(file, () => {
      it('begins with two lines that say what it shows', () => {
        const [first = '', second = '', third = ''] = read(file).split('\n');
        assert.match(first, /^# \S.{20,}/);
        assert.match(second, /^# Shows .{10,}\.?$/);
        assert.equal(third, 'metadata:');
      });

      it('is one valid policy for a workload of the demo', () => {
        const documents = parseAllDocuments(read(file));
        assert.equal(documents.length, 1);
        assert.deepEqual(documents[0]?.errors, []);
        const { spec } = policy.parse(documents[0]?.toJS());
        assert.equal(spec.selector.namespace, 'demo');
        assert.ok(['frontend', 'backend'].includes(spec.selector.service ?? ''));
      });

      it('has a row in examples/README.md that names its policy', () => {
        const { metadata } = policy.parse(parseAllDocuments(read(file))[0]?.toJS());
        const row = read('README.md')
          .split('\n')
          .find((line) => line.startsWith(`| [${file}](${file}) |`));
        assert.ok(row?.includes(`| \`${metadata.name}\` |`), `no row for ${file} with ${metadata.name}`);
      });
    });
  }
});
