// Conditions are written as AWS's own SDK for pipelines writes them (sagemaker.workflow.conditions).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  and,
  type Condition,
  equals,
  greaterThan,
  greaterThanOrEqualTo,
  isIn,
  lessThan,
  lessThanOrEqualTo,
  not,
  or,
  ParameterInteger,
  ParameterString,
} from '../../../lib/pipeline';

const epochs = new ParameterInteger('Epochs');
const mode = new ParameterString('Mode');
const written = (condition: Condition) => JSON.parse(JSON.stringify(condition));

const comparisons = {
  Equals: equals,
  GreaterThan: greaterThan,
  GreaterThanOrEqualTo: greaterThanOrEqualTo,
  LessThan: lessThan,
  LessThanOrEqualTo: lessThanOrEqualTo,
};

for (const [type, compare] of Object.entries(comparisons)) {
  test(`${type} has a left and a right value`, () => {
    assert.deepEqual(written(compare(epochs, 3)), {
      Type: type,
      LeftValue: { Get: 'Parameters.Epochs' },
      RightValue: 3,
    });
  });
}

test('In has a query value and values', () => {
  assert.deepEqual(written(isIn(mode, ['fast', 'good'])), {
    Type: 'In',
    QueryValue: { Get: 'Parameters.Mode' },
    Values: ['fast', 'good'],
  });
});

test('Not has a condition', () => {
  assert.deepEqual(written(not(equals(mode, 'fast'))), {
    Type: 'Not',
    Condition: { Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 'fast' },
  });
});

test('Or has conditions', () => {
  assert.deepEqual(written(or(equals(mode, 'fast'), lessThan(epochs, 2))), {
    Type: 'Or',
    Conditions: [
      { Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 'fast' },
      { Type: 'LessThan', LeftValue: { Get: 'Parameters.Epochs' }, RightValue: 2 },
    ],
  });
});

test('and is not any of them being false', () => {
  const [first, second] = [equals(mode, 'fast'), lessThan(epochs, 2)];
  assert.deepEqual(written(and(first, second)), written(not(or(not(first), not(second)))));
  assert.deepEqual(written(and(first)), written(first));
});
