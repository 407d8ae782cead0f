// The quality gate with a threshold that is a plain number, 0 among them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { ParameterFloat, QualityGate } from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

function gate(atLeast: number) {
  const metric = new ParameterFloat('Metric');
  const stage = new QualityGate(new Stack(new App({ outdir: temporaryFolder() }), 'Test'), 'Gate', {
    metric,
    metricName: 'Dice',
    atLeast,
    ifSteps: [],
  });
  return JSON.parse(JSON.stringify(stage.step.toDefinition())).Arguments;
}

for (const atLeast of [0, 0.85]) {
  test(`a threshold of ${atLeast} is a number in the condition and a text in the message`, () => {
    const { Conditions, ElseSteps } = gate(atLeast);
    assert.equal(Conditions[0].RightValue, atLeast);
    assert.deepEqual(ElseSteps[0].Arguments.ErrorMessage['Std:Join'].Values, [
      "the model's Dice is ",
      { Get: 'Parameters.Metric' },
      ', and at least ',
      String(atLeast),
      ' is asked for',
    ]);
  });
}
