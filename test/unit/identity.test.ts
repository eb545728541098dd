import assert from 'node:assert/strict';
import { identityKey, readLabels } from '../../services/control-plane/fleet/identity.ts';
import { selects } from '../../services/policy/selector.ts';

describe("a proxy's identity", () => {
  const rows: [string, [string, string][]][] = [
    ['', []],
    [
      'app=frontend,version=v1',
      [
        ['app', 'frontend'],
        ['version', 'v1'],
      ],
    ],
    [' app = frontend ,', [['app', 'frontend']]],
    ['empty=', [['empty', '']]],
    ['=v,alone,,', []],
    ['a=1,a=2', [['a', '2']]],
    ['__proto__=x', [['__proto__', 'x']]],
  ];
  for (const [text, labels] of rows) {
    it(`reads the labels ${JSON.stringify(text)}`, () => assert.deepEqual(Object.entries(readLabels(text)), labels));
  }

  it('a label named __proto__ is only a label', () => {
    const labels = readLabels('__proto__=x');
    assert.equal(Object.getPrototypeOf(labels), Object.prototype);
    assert.equal(selects({ labels: { constructor: '*' } }, { namespace: 'n', workload: 'w', labels }), false);
  });

  it('is one key whatever the order of the labels, and another for another workload', () => {
    const key = (namespace: string, workload: string, labels: string) => identityKey({ namespace, workload, labels: readLabels(labels) });
    assert.equal(key('n', 'w', 'a=1,b=2'), key('n', 'w', 'b=2,a=1'));
    const others = [key('n', 'w', 'a=1'), key('n', 'w', 'a=2'), key('n', 'w', 'a=1,b=2'), key('nw', '', 'a=1'), key('', 'nw', 'a=1')];
    assert.equal(new Set(others).size, others.length);
  });
});
