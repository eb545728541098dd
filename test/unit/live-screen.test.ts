import assert from 'node:assert/strict';
import { LiveScreen } from '../../cli/live-screen.ts';

function screenOf(columns: number, rows: number): { screen: LiveScreen; written: string[] } {
  const written: string[] = [];
  return { screen: new LiveScreen({ columns, rows, write: (text) => written.push(text) }), written };
}

/** What is to be read, without the terminal's orders. */
const plain = (text = ''): string[] =>
  text
    .replaceAll(/\[[?\d]*[A-Za-z]/g, '')
    .replaceAll(String.fromCharCode(27), '')
    .split('\r\n')
    .slice(0, -1);

describe('a live screen', () => {
  it('draws in one write, nothing when nothing differs, and never clears the whole', () => {
    const { screen, written } = screenOf(80, 24);
    screen.draw(['a', 'b']);
    screen.draw(['a', 'b']);
    screen.draw(['a', 'c']);
    screen.leave();
    assert.equal(written.length, 4);
    assert.deepEqual([written[1], written[2]].map(plain), [
      ['a', 'b'],
      ['a', 'c'],
    ]);
    assert.ok(written.every((text) => !text.includes('[2J')));
    assert.match(written[3] ?? '', /\?1049l$/);
  });

  it('cuts what there is no room for, and keeps the last line', () => {
    const { screen, written } = screenOf(10, 4);
    screen.draw(['x'.repeat(20), '2', '3', '4', '5', 'last']);
    assert.deepEqual(plain(written[1]), ['x'.repeat(9), '2', 'last']);
  });

  it('takes a terminal that does not know its size for one of 80 by 24', () => {
    const { screen, written } = screenOf(0, 0);
    screen.draw([...Array.from({ length: 30 }, () => 'x'.repeat(100)), 'last']);
    const lines = plain(written[1]);
    assert.deepEqual([lines.length, lines[0]?.length, lines.at(-1)], [23, 79, 'last']);
  });
});
