// The evaluation stage: values that its report has, by the task of the model, and what of its settings is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  categorical,
  Evaluation,
  type EvaluationProps,
  ParameterString,
  PipelineError,
  type TrainedModel,
  type TrainingHyperparameters,
  Tuning,
} from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

const URI = 'registry.test/scanline:1';

interface Given {
  readonly hyperparameters?: TrainingHyperparameters;
  readonly networks?: readonly string[];
  readonly foreign?: boolean;
  readonly props?: Partial<EvaluationProps>;
}

function evaluate({ hyperparameters = {}, networks, foreign = false, props = {} }: Given): Evaluation {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const image = foreign ? ByocImage.fromUri(stack, 'Image', URI) : ByocImage.scanlineFromUri(stack, 'Image', URI);
  const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r');
  const job = { channels: { train: 's3://b/train' }, output: 's3://b/out', image, role, hyperparameters };
  const training: TrainedModel = networks
    ? new Tuning(stack, 'Tune', {
        training: job,
        ranges: { model_name: categorical(networks) },
        objective: 'valid_loss',
      })
    : new ByocTraining(stack, 'Train', job);
  return new Evaluation(stack, 'Evaluate', { training, test: 's3://b/test', output: 's3://b/e', role, ...props });
}

const pathOf = (value: unknown) => JSON.parse(JSON.stringify(value))['Std:JsonGet'].Path;
const ACCURACY = 'multiclass_classification_metrics.accuracy.value';
const DICE = 'segmentation_metrics.dice.value';

test('a classifier has an accuracy, and its Dice is refused with what to use instead', () => {
  const evaluation = evaluate({});
  assert.equal(pathOf(evaluation.accuracy), ACCURACY);
  assert.throws(
    () => evaluation.dice,
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      const [{ where, problem, fix }] = error.findings as [(typeof error.findings)[0]];
      assert.equal(where, 'step Evaluate at Test/Evaluate');
      assert.match(problem, /its dice is used, and its network is for classification/);
      assert.match(fix, /use accuracy, or train a network for segmentation/);
      return true;
    },
  );
});

test('a segmenter has a Dice and no accuracy, be it trained or tuned', () => {
  for (const given of [{ hyperparameters: { model_name: 'unet' } }, { networks: ['unet', 'segresnet'] }] as const) {
    assert.equal(pathOf(evaluate(given).dice), DICE);
    assert.throws(() => evaluate(given).accuracy, /its accuracy is used.*segmentation[\s\S]*use dice/);
  }
});

test('where the task is not known at synth, both may be asked for', () => {
  const model_name = new ParameterString('Network', { defaultValue: 'unet' });
  for (const given of [{ hyperparameters: { model_name } }, { networks: ['unet', 'vit'] }, { foreign: true }]) {
    const { accuracy, dice } = evaluate(given);
    assert.deepEqual([pathOf(accuracy), pathOf(dice)], [ACCURACY, DICE]);
  }
});

test('what is wrong with its settings is refused, all at once', () => {
  const props = { instanceType: 'm5.xlarge', volumeSize: 0, test: 'b/test', output: '/out' };
  assert.throws(
    () => evaluate({ props }),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      const problems = error.findings.map(({ problem }) => problem.replace(/; allowed.*/s, ''));
      const found = ["instanceType is 'm5.xlarge'", 'volumeSize is 0', "test is 'b/test'", "output is '/out'"];
      assert.deepEqual(problems, found);
      return true;
    },
  );
});
