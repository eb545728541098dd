import assert from 'node:assert/strict';
import { type FieldError, fieldErrors, pathText } from '../../services/policy/problems.ts';
import { policy } from '../../services/policy/schema.ts';

const abort = { httpStatus: 503 };

/** What is wrong with a policy of this spec. */
function errorsOf(spec: unknown, name: unknown = 'p'): FieldError[] {
  const input = { metadata: { name }, spec };
  const result = policy.safeParse(input);
  return result.success ? [] : fieldErrors(policy, result.error.issues, input);
}

describe('problems of fields', () => {
  it('there are none in a good policy', () => assert.deepEqual(errorsOf({ rules: [{ fault: { abort } }] }), []));

  const rows: [string, unknown, FieldError][] = [
    [
      'a field that is none here names the nearest',
      { rules: [{ match: { path: { exact: '/', prefx: '/' } }, fault: { abort } }] },
      {
        path: 'spec.rules[0].match.path.prefx',
        message: 'is no field here',
        allowed: ['exact', 'prefix', 'suffix', 'contains', 'regex', 'ignoreCase'],
        nearest: 'prefix',
      },
    ],
    [
      'a word that is none of two',
      { direction: 'outbond', rules: [{ fault: { abort } }] },
      { path: 'spec.direction', message: 'must be inbound or outbound', allowed: ['inbound', 'outbound'], nearest: 'outbound' },
    ],
    ['a field that is missing', {}, { path: 'spec.rules', message: 'is missing; it must be a list' }],
    ['another type', { rules: 'x' }, { path: 'spec.rules', message: 'must be a list, not text' }],
    ['nothing where a list is due', { rules: null }, { path: 'spec.rules', message: 'must be a list, not null' }],
    ['too few entries', { rules: [] }, { path: 'spec.rules', message: 'must have at least 1 entry' }],
    [
      'a number too large',
      { rules: [{ fault: { abort: { httpStatus: 600 } } }] },
      { path: 'spec.rules[0].fault.abort.httpStatus', message: 'must be at most 599' },
    ],
    [
      'a fraction where a whole number is due',
      { rules: [{ fault: { abort: { httpStatus: 503.5 } } }] },
      { path: 'spec.rules[0].fault.abort.httpStatus', message: 'must be a whole number, not a number with decimals' },
    ],
    [
      'too many decimals',
      { rules: [{ fault: { percentage: 0.00001, abort } }] },
      { path: 'spec.rules[0].fault.percentage', message: 'has more than four decimals' },
    ],
    [
      'a number between quotation marks, where an object may stand too',
      { rules: [{ match: { limit: '5' }, fault: { abort } }] },
      {
        path: 'spec.rules[0].match.limit',
        message: 'must be a number or an object, not text: write 5 without quotation marks',
        nearest: '5',
      },
    ],
    [
      'a number between quotation marks',
      { priority: '-7', rules: [{ fault: { abort } }] },
      { path: 'spec.priority', message: 'must be a number, not text: write -7 without quotation marks', nearest: '-7' },
    ],
    [
      'a text that is no number',
      { rules: [{ match: { limit: '5 of them' }, fault: { abort } }] },
      { path: 'spec.rules[0].match.limit', message: 'must be a number or an object, not text' },
    ],
    ['a number where a list is due', { rules: '5' }, { path: 'spec.rules', message: 'must be a list, not text' }],
    [
      'a fault that does nothing',
      { rules: [{ fault: {} }] },
      { path: 'spec.rules[0].fault', message: 'does nothing: needs at least one of: delay, abort, request, response' },
    ],
    [
      'a label name that is none',
      { selector: { labels: { '-x': 'y' } }, rules: [{ fault: { abort } }] },
      { path: 'spec.selector.labels["-x"]', message: 'is no label name' },
    ],
  ];
  for (const [what, spec, wanted] of rows) it(what, () => assert.deepEqual(errorsOf(spec), [wanted]));

  it('all are told at once', () => {
    const paths = errorsOf({ prioritty: 1, rules: [{ fault: { abort: { httpStatus: 1 } } }, { falt: {} }] }, 'Bad_').map(
      ({ path }) => path,
    );
    assert.deepEqual(paths.sort(), [
      'metadata.name',
      'spec.prioritty',
      'spec.rules[0].fault.abort.httpStatus',
      'spec.rules[1].falt',
      'spec.rules[1].fault',
    ]);
  });

  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    it(`${name} is a field like any other that is none`, () => {
      const [error] = errorsOf({ rules: [{ fault: { abort } }], [name]: 1 });
      assert.deepEqual([error?.path, error?.message], [`spec.${name}`, 'is no field here']);
    });
  }

  it('paths are written as people write them', () => {
    assert.equal(pathText(['spec', 'rules', 0, 'labels', 'a.b']), 'spec.rules[0].labels["a.b"]');
    assert.equal(pathText([]), '');
  });
});
