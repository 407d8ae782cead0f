// The quality gate with a threshold that is a plain number, 0 among them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import {
  type Expression,
  jsonGet,
  ParameterFloat,
  PipelineError,
  ProcessingStep,
  QualityGate,
  type QualityGateProps,
} from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

const METRIC = new ParameterFloat('Metric');

function gate(atLeast: QualityGateProps['atLeast'], metric: Expression<number> = METRIC) {
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

const report = { name: 'Evaluation', outputName: 'evaluation', path: 'evaluation.json' };
const valueAt = (path: string) => jsonGet(new ProcessingStep('Evaluate', { arguments: {} as never }), report, path);
const accuracy = valueAt('multiclass_classification_metrics.accuracy.value');
const dice = valueAt('segmentation_metrics.dice.value');

for (const [problem, atLeast, metric] of [
  ['atLeast is 90', 90, accuracy],
  ['atLeast is -0.1', -0.1, dice],
  ['atLeast is 90', new ParameterFloat('Least', { defaultValue: 90 }), dice],
  ['atLeast is NaN', Number.NaN, METRIC],
] as const) {
  test(`refused: ${problem}, as ${JSON.stringify(metric)}`, () => {
    assert.throws(
      () => gate(atLeast, metric),
      (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        assert.deepEqual(
          error.findings.map((finding) => [finding.where, finding.problem.replace(/; allowed.*/s, '')]),
          [['step Gate at Test/Gate', problem]],
        );
        assert.match(error.findings[0]?.fix as string, /give e\.g\. 0\.9/);
        return true;
      },
    );
  });
}

test('what is no share may be asked to be more than 1', () => {
  assert.equal(gate(90).Conditions[0].RightValue, 90);
  assert.equal(gate(1, dice).Conditions[0].RightValue, 1);
});
