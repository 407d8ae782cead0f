// Expressions and conditions get their values while a pipeline runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, holds, resolve, type Values } from '../../../../lib/local/executions/resolve';

const values: Values = {
  parameters: { Name: 'mri', Epochs: 3, Resume: false },
  execution: { PipelineExecutionId: 'abc' },
  properties: (step) => ({ step, Outputs: [{ OutputName: 'train', Uri: 's3://b/train' }], Size: 0 }),
  propertyFile: (step, file) => ({ [step]: { [file]: [0.5, 0.75] } }),
};

test('a path leads through members, numbers and names', () => {
  const value = {
    A: { B: [{ x: 1 }, { x: 2 }] },
    Outputs: [{ OutputName: 'p.q', Uri: 'u' }],
    Metrics: [{ MetricName: 'loss', Value: 0.5 }],
  };
  assert.equal(follow(value, '.A.B[1].x'), 2);
  assert.equal(follow(value, 'A.B[0].x'), 1);
  assert.equal(follow(value, ".Outputs['p.q'].Uri"), 'u');
  assert.equal(follow(value, ".Metrics['loss'].Value"), 0.5);
});

test('a path to null, false or 0 is a path to something', () => {
  for (const x of [null, false, 0, '']) assert.equal(follow({ x }, 'x'), x);
});

test('a path to nothing is refused, and named', () => {
  assert.throws(() => follow({ A: {} }, '.A.B.C'), /nothing at \.A\.B\.C/);
  assert.throws(() => follow({ Outputs: [] }, ".Outputs['train']"), /nothing at \.Outputs\['train'\]/);
});

test('expressions anywhere in a value are replaced, and all else is as it was', () => {
  const part = {
    plain: ['a', 1, true, null],
    name: { Get: 'Parameters.Name' },
    count: { Get: 'Parameters.Epochs' },
    off: { Get: 'Parameters.Resume' },
    uri: { Get: "Steps.Split.Outputs['train'].Uri" },
    size: { Get: 'Steps.Split.Size' },
    score: {
      'Std:JsonGet': { PropertyFile: { Get: 'Steps.Evaluate.PropertyFiles.Report' }, Path: 'Evaluate.Report[1]' },
    },
    joined: {
      'Std:Join': { On: '/', Values: ['s3:/', { Get: 'Execution.PipelineExecutionId' }, { Get: 'Parameters.Epochs' }] },
    },
  };
  assert.deepEqual(resolve(part, values), {
    plain: ['a', 1, true, null],
    name: 'mri',
    count: 3,
    off: false,
    uri: 's3://b/train',
    size: 0,
    score: 0.75,
    joined: 's3://abc/3',
  });
});

test('a reference that nothing stands behind is refused, not written as undefined', () => {
  for (const path of ['Parameters.Gone', 'Execution.Gone', 'Steps.A.Gone', 'Elsewhere.X'])
    assert.throws(
      () => resolve({ 'Std:Join': { On: '', Values: [{ Get: path }] } }, values),
      new RegExp(path.split('.').at(-1) as string),
    );
});

const compare = (Type: string, LeftValue: unknown, RightValue: unknown) => holds({ Type, LeftValue, RightValue });

for (const [type, below, same, above] of [
  ['Equals', false, true, false],
  ['GreaterThan', false, false, true],
  ['GreaterThanOrEqualTo', false, true, true],
  ['LessThan', true, false, false],
  ['LessThanOrEqualTo', true, true, false],
] as const) {
  test(`${type} of a value below, at and above another`, () => {
    assert.deepEqual([compare(type, 9, 10), compare(type, 10, 10), compare(type, 11, 10)], [below, same, above]);
  });
}

test('numbers are compared as numbers, not as texts', () => {
  assert.equal(compare('LessThan', 9, 10), true);
  assert.equal(compare('GreaterThan', '10', '9'), true);
});

test('In, Not and Or', () => {
  const yes = { Type: 'Equals', LeftValue: 1, RightValue: 1 };
  const no = { Type: 'Equals', LeftValue: 1, RightValue: 2 };
  assert.equal(holds({ Type: 'In', QueryValue: 'a', Values: ['b', 'a'] }), true);
  assert.equal(holds({ Type: 'In', QueryValue: 'c', Values: ['b', 'a'] }), false);
  assert.equal(holds({ Type: 'Not', Expression: yes }), false);
  assert.equal(holds({ Type: 'Not', Expression: no }), true);
  assert.equal(holds({ Type: 'Or', Conditions: [no, yes] }), true);
  assert.equal(holds({ Type: 'Or', Conditions: [no, no] }), false);
});

test('a condition that is not known is refused, with those that are', () => {
  assert.throws(() => holds({ Type: 'Roughly' }), /Roughly is not known; known are Equals/);
});
