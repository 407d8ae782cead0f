// The training stack for segmentation, by its props, its network or the context; and what contradicts itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { allSteps, type StepDefinition } from '../../../lib/pipeline';
import { temporaryFolder } from '../../training/temporary-folder';

interface Parameter {
  readonly Name: string;
  readonly DefaultValue: unknown;
}

function synth(props: TrainingStackProps, context: Record<string, unknown> = {}) {
  const app = new App({ outdir: temporaryFolder(), context });
  const template = Template.fromStack(new TrainingStack(app, 'Test', props));
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody;
  const definition = JSON.parse(resolveTemplate(body, template.toJSON()) as string) as {
    Parameters: Parameter[];
    Steps: StepDefinition[];
  };
  return {
    name: pipeline?.Properties.PipelineName as string,
    parameter: (name: string) => definition.Parameters.find(({ Name }) => Name === name)?.DefaultValue,
    argument: (step: string) =>
      allSteps(definition.Steps).find(({ Name }) => Name === step)?.Arguments as Record<string, unknown>,
  };
}

const segmentation = synth({ task: 'segmentation' });

test('for segmentation a SegResNet is trained, unless another network is chosen', () => {
  assert.deepEqual(segmentation.argument('Train').HyperParameters, { model_name: 'segresnet' });
  const other = synth({ hyperparameters: { model_name: 'unet', num_epochs: 3 } });
  assert.deepEqual(other.argument('Train').HyperParameters, { model_name: 'unet', num_epochs: '3' });
});

test('for segmentation the hyperparameters are those of its network, also where none is chosen', () => {
  const { argument } = synth({ task: 'segmentation', hyperparameters: { roi_size: [64] } });
  assert.deepEqual(argument('Train').HyperParameters, { model_name: 'segresnet', roi_size: '64' });
});

test('the gate compares the mean Dice with LeastDice, which is 0.7 unless it is given', () => {
  const [condition] = segmentation.argument('Gate').Conditions as unknown as Record<string, unknown>[];
  assert.deepEqual(condition?.LeftValue, {
    'Std:JsonGet': {
      PropertyFile: { Get: 'Steps.Evaluate.PropertyFiles.Evaluation' },
      Path: 'segmentation_metrics.dice.value',
    },
  });
  assert.deepEqual(condition?.RightValue, { Get: 'Parameters.LeastDice' });
  assert.equal(segmentation.parameter('LeastDice'), 0.7);
  assert.equal(segmentation.parameter('LeastAccuracy'), undefined);
  assert.equal(synth({ task: 'segmentation', leastDice: 0 }).parameter('LeastDice'), 0);
});

test('the network tells the task', () => {
  const { parameter } = synth({ hyperparameters: { model_name: 'swinunetr' } });
  assert.equal(parameter('LeastDice'), 0.7);
  assert.equal(synth({ hyperparameters: { model_name: 'resnet18' } }).parameter('LeastAccuracy'), 0.9);
});

test('the registered version takes volumes, and answers masks', () => {
  const { SupportedContentTypes, SupportedResponseMIMETypes } = segmentation.argument('Register')
    .InferenceSpecification as Record<string, string[]>;
  assert.ok(SupportedContentTypes?.includes('application/x-nifti'), `${SupportedContentTypes}`);
  assert.equal(SupportedContentTypes?.includes('image/png'), false);
  assert.ok(SupportedResponseMIMETypes?.includes('application/x-nifti'), `${SupportedResponseMIMETypes}`);
});

test('the context says what the props do not', () => {
  const context = {
    ...{ task: 'segmentation', pipelineName: 'tissue', trainingInstanceType: 'ml.g5.2xlarge' },
    ...{ leastDice: '0.65', groupBy: 'pattern:^p' },
  };
  const { name, parameter, argument } = synth({}, context);
  assert.equal(name, 'tissue');
  assert.equal(parameter('TrainingInstanceType'), 'ml.g5.2xlarge');
  assert.equal(parameter('LeastDice'), 0.65);
  const { ContainerArguments } = argument('Split').AppSpecification as Record<string, string[]>;
  assert.match(`${ContainerArguments?.join(' ')}`, /--group-by pattern:\^p/);
  const mine = synth({ pipelineName: 'mine' }, context);
  assert.equal(mine.name, 'mine');
});

test('what contradicts the task is refused, all at once, each with its fix', () => {
  assert.throws(
    () => synth({ task: 'segmentation', leastAccuracy: 0.9, hyperparameters: { model_name: 'vit' } }),
    (error: Error) => {
      assert.match(error.message, /refused, for 2 reasons/);
      assert.match(error.message, /model_name is vit, which is for classification, with the task segmentation/);
      assert.match(
        error.message,
        /leastAccuracy is 0\.9; allowed is leastDice for segmentation\.\n +Fix: give leastDice/,
      );
      return true;
    },
  );
  assert.throws(() => synth({ leastDice: 0.7 }), /leastDice is 0\.7; allowed is leastAccuracy for classification/);
});

test('values of the context that cannot be are refused, all at once', () => {
  assert.throws(
    () => synth({}, { task: 'detection', leastAccuracy: 'high' }),
    (error: Error) => {
      assert.match(error.message, /task of the context is 'detection'; allowed is classification or segmentation/);
      assert.match(error.message, /leastAccuracy of the context is 'high'; allowed is a number from 0 to 1/);
      return true;
    },
  );
});
