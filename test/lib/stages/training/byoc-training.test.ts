// The training stage: what it refuses at synth, and how hyperparameters and metrics come to the job.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  type ByocTrainingProps,
  ParameterInteger,
  ParameterString,
  PipelineError,
} from '../../../../lib';
import { METRICS } from '../../../../training/hyperparameters';
import { temporaryFolder } from '../../../training/temporary-folder';

function train(props: Partial<ByocTrainingProps> = {}, image = (stack: Stack) => ByocImage.scanline(stack, 'Image')) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  return new ByocTraining(stack, 'Train', {
    channels: { train: 's3://b/train', validation: 's3://b/validation' },
    output: 's3://b/out',
    image: image(stack),
    role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r'),
    ...props,
  });
}

interface Written {
  readonly HyperParameters: Readonly<Record<string, unknown>>;
  readonly ResourceConfig: Readonly<Record<string, unknown>>;
  readonly StoppingCondition: Readonly<Record<string, unknown>>;
  readonly InputDataConfig: readonly unknown[];
  readonly AlgorithmSpecification: { readonly MetricDefinitions: readonly { Name: string; Regex: string }[] };
}

function argumentsOf(training: ByocTraining): Written {
  return JSON.parse(JSON.stringify(training.step.toDefinition())).Arguments;
}

test('wrong hyperparameters are refused, all at once, each with its name', () => {
  // names that are not there, and values out of their range, are what JavaScript lets through
  const hyperparameters = { num_epochs: -1, learning_rat: 0.1, batch_size: 2.5 } as never;
  assert.throws(
    () => train({ hyperparameters }),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.findings.length, 3, error.message);
      for (const name of ['num_epochs', 'learning_rat', 'batch_size']) assert.match(error.message, new RegExp(name));
      for (const { where, fix } of error.findings)
        assert.deepEqual([where, fix.includes('--help')], ['step Train at Test/Train', true]);
      return true;
    },
  );
});

test('hyperparameters are texts', () => {
  const { HyperParameters } = argumentsOf(
    train({ hyperparameters: { num_epochs: 3, img_size: [64, 32], dropout: 0 } }),
  );
  assert.deepEqual(HyperParameters, { num_epochs: '3', img_size: '64,32', dropout: '0' });
});

test('a hyperparameter that is a number of the pipeline becomes a text too', () => {
  const epochs = new ParameterInteger('Epochs', { defaultValue: 2 });
  assert.deepEqual(argumentsOf(train({ hyperparameters: { num_epochs: epochs } })).HyperParameters, {
    num_epochs: { 'Std:Join': { On: '', Values: [{ Get: 'Parameters.Epochs' }] } },
  });
});

test('the hyperparameters of a network are taken where the network is a parameter, by its default', () => {
  const network = new ParameterString('Network', { defaultValue: 'vit' });
  const { HyperParameters } = argumentsOf(train({ hyperparameters: { model_name: network, hidden_size: 192 } }));
  assert.equal(HyperParameters.hidden_size, '192');
  assert.throws(
    () => train({ hyperparameters: { model_name: new ParameterString('Network', { defaultValue: 'vgg' }) } }),
    /model_name is "vgg"/,
  );
});

test('several instances of our image are refused', () => {
  assert.throws(
    () => train({ instanceCount: 2 }),
    /step Train at Test\/Train: instanceCount is 2;.*one instance[\s\S]*set instanceCount to 1/,
  );
});

test('several instances of another image are not', () => {
  const training = train({ instanceCount: 2 }, (stack) => ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'));
  assert.equal(argumentsOf(training).ResourceConfig.InstanceCount, 2);
});

test('the hyperparameters of another image are its own', () => {
  const hyperparameters = { lr: 0.1, layers: [64, 32], batch_size: 2.5 };
  const training = train({ hyperparameters }, (stack) => ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'));
  assert.deepEqual(argumentsOf(training).HyperParameters, { lr: '0.1', layers: '64,32', batch_size: '2.5' });
});

test('each channel is a prefix that every instance gets whole', () => {
  assert.deepEqual(argumentsOf(train()).InputDataConfig[1], {
    ChannelName: 'validation',
    DataSource: {
      S3DataSource: {
        S3DataType: 'S3Prefix',
        S3Uri: 's3://b/validation',
        S3DataDistributionType: 'FullyReplicated',
      },
    },
  });
});

test("the regular expressions of the job's metrics find what the trainer prints", () => {
  const line = METRICS.map(({ name }, i) => `${name}=${i}.5;`).join(' ');
  const found = argumentsOf(train()).AlgorithmSpecification.MetricDefinitions.map(({ Name, Regex }) => [
    Name,
    new RegExp(Regex).exec(line)?.[1],
  ]);
  assert.deepEqual(
    found,
    METRICS.map(({ name }, i) => [name, `${i}.5`]),
  );
});

test('a volume, an instance type and a time that are given are taken', () => {
  const { ResourceConfig, StoppingCondition } = argumentsOf(
    train({ volumeSize: 9, instanceType: 'ml.p4d.24xlarge', maxRuntime: Duration.minutes(1) }),
  );
  assert.deepEqual(ResourceConfig, { InstanceType: 'ml.p4d.24xlarge', InstanceCount: 1, VolumeSizeInGB: 9 });
  assert.deepEqual(StoppingCondition, { MaxRuntimeInSeconds: 60 });
});
