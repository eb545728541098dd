import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fuzzer } from '../fuzz/fuzz.ts';
import { asPresent, SHOWED_BUGS } from '../fuzz/rulesets.ts';

const CORPUS = join(import.meta.dirname, '..', 'fuzz', 'corpus');

/** The short form of `npm run fuzz`. */
describe('filter: damaged rulesets, headers and bodies', function () {
  this.timeout(120_000);

  it('does nothing in 2,000 drawn runs that must never happen', () => {
    const fuzzer = new Fuzzer([]);
    for (let run = 0; run < 2000; run++) fuzzer.run((7n << 32n) + BigInt(run));
    fuzzer.renew();
  });

  for (const [name, ruleset] of Object.entries(SHOWED_BUGS)) {
    it(`bears ${name}`, () => {
      const fuzzer = new Fuzzer([]);
      fuzzer.replay(ruleset(fuzzer.now));
      for (let seed = 0n; seed < 20n; seed++) fuzzer.drive(seed);
      fuzzer.renew();
    });
  }

  const files = existsSync(CORPUS) ? readdirSync(CORPUS).filter((name) => name.endsWith('.bin')) : [];
  for (const name of files) {
    it(`bears ${name}, which once showed a bug`, () => {
      const fuzzer = new Fuzzer([]);
      fuzzer.replay(asPresent(new Uint8Array(readFileSync(join(CORPUS, name)))));
      for (let seed = 0n; seed < 20n; seed++) fuzzer.drive(seed);
      fuzzer.renew();
    });
  }
});
