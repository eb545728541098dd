import assert from 'node:assert/strict';
import { PAGES, writtenPage } from '../../build/docs.ts';

describe('generated pages', () => {
  for (const [path, make] of PAGES) {
    it(`${path} is current`, async () => {
      assert.equal(writtenPage(path), await make(), `${path} is not what its source says: run npm run docs`);
    });
  }
});
