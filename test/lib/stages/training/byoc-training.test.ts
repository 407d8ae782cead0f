// The training stage: what it refuses at synth, and how hyperparameters and metrics come to the job.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  type ByocTrainingProps,
  type Expression,
  ParameterInteger,
  ParameterString,
  Pipeline,
  PipelineError,
  QualityGate,
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
  readonly AlgorithmSpecification: { readonly MetricDefinitions?: readonly { Name: string; Regex: string }[] };
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

const definitionsOf = (training: ByocTraining) => argumentsOf(training).AlgorithmSpecification.MetricDefinitions ?? [];
const metricsOf = (training: ByocTraining) => definitionsOf(training).map(({ Name }) => Name);

test("the regular expressions of the job's metrics find what the trainer prints", () => {
  const line = METRICS.map(({ name }, i) => `${name}=${i}.5;`).join(' ');
  const network = new ParameterString('Network', { defaultValue: 'vit' });
  // which network it is, and so what is printed, is known only at the start
  const training = train({ channels: { data: 's3://b/data' }, hyperparameters: { model_name: network } });
  const found = definitionsOf(training).map(({ Name, Regex }) => [Name, new RegExp(Regex).exec(line)?.[1]]);
  assert.deepEqual(
    found,
    METRICS.map(({ name }, i) => [name, `${i}.5`]),
  );
});

test('a network that is known has the metrics of its task alone, of test images only with a channel of them', () => {
  const common = ['train_loss', 'train_accuracy', 'valid_loss'];
  const images = [...common, 'valid_accuracy', 'valid_f1', 'valid_auc', 'images_per_second'];
  assert.deepEqual(metricsOf(train()), images);
  const tested = train({ channels: { train: 's3://b/train', test: 's3://b/test' } });
  assert.deepEqual(
    metricsOf(tested).filter((name) => !images.includes(name)),
    ['test_loss', 'test_accuracy', 'test_f1', 'test_auc'],
  );
  const volumes = metricsOf(train({ hyperparameters: { model_name: 'segresnet' } }));
  assert.deepEqual([volumes.includes('valid_dice'), volumes.includes('valid_accuracy')], [true, false]);
});

const foreign = (stack: Stack) => ByocImage.fromUri(stack, 'Image', 'registry.test/other:1');

test('another image has the metrics that it is given, and none of ours', () => {
  assert.deepEqual(definitionsOf(train({}, foreign)), []);
  const metricDefinitions = { dice: 'dice=([0-9.]+)' };
  assert.deepEqual(metricsOf(train({ metricDefinitions }, foreign)), ['dice']);
});

/** A gate on the last value of a metric of the training. */
function gateOn(metric: string, metricDefinitions: Record<string, string>) {
  const training = train({ metricDefinitions }, foreign);
  const gate = new QualityGate(Stack.of(training), 'Gate', {
    metric: training.step.properties.FinalMetricDataList[metric]?.Value as Expression<number>,
    metricName: metric,
    atLeast: 0.8,
    ifSteps: [],
  });
  return new Pipeline('p', { steps: [training.step, gate.step] }).findings();
}

test('a gate on a metric that another image does not declare is refused, and says where to declare it', () => {
  const [finding, ...others] = gateOn('valid_accuracy', {});
  assert.match(`${finding?.where}: ${finding?.problem}`, /step Gate: .*valid_accuracy, which step Train does not emit/);
  assert.match(finding?.fix as string, /MetricDefinitions \(there are: none\)/);
  // the message of the gate names the value too
  assert.deepEqual(
    others.filter(({ where }) => where === 'step Gate'),
    [],
  );
  assert.deepEqual(gateOn('dice', { dice: 'dice=([0-9.]+)' }), []);
});

test('what reports to the network is refused of a job that has none', () => {
  const hyperparameters = { use_wandb: true, mlflow_tracking_uri: 'http://mlflow.test:5000' };
  assert.throws(
    () => train({ networkIsolation: true, hyperparameters }),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.deepEqual(
        error.findings.map(({ where, problem }) => `${where}: ${problem.replace(/ is .*/s, '')}`),
        ['use_wandb', 'mlflow_tracking_uri'].map((name) => `step Train at Test/Train: hyperparameters.${name}`),
      );
      return true;
    },
  );
  train({ hyperparameters });
  train({ networkIsolation: true, hyperparameters: { use_wandb: false } });
});

test('channels that the trainer would not read are refused of our image alone', () => {
  const refused = (channels: ByocTrainingProps['channels'], image?: (stack: Stack) => ByocImage) => {
    try {
      train({ channels }, image);
    } catch (error) {
      assert.ok(error instanceof PipelineError);
      for (const { where } of error.findings) assert.equal(where, 'step Train at Test/Train');
      return error.findings.map(({ problem }) => problem.replace(/; allowed.*/s, ''));
    }
    return [];
  };
  const images = 's3://b/images';
  assert.deepEqual(refused({ images }), ['channels.images is a name that the trainer does not read']);
  assert.deepEqual(refused({ validation: images }), ['channels is validation']);
  assert.deepEqual(refused({ train: { uri: images, inputMode: 'Pipe' } }), [
    'channels.train is with the input mode Pipe',
  ]);
  assert.deepEqual(refused({ images }, foreign), []);
  for (const name of ['train', 'data', 'training', 'dataset']) assert.deepEqual(refused({ [name]: images }), []);
});

test('a volume, an instance type and a time that are given are taken', () => {
  const { ResourceConfig, StoppingCondition } = argumentsOf(
    train({ volumeSize: 9, instanceType: 'ml.p4d.24xlarge', maxRuntime: Duration.minutes(1) }),
  );
  assert.deepEqual(ResourceConfig, { InstanceType: 'ml.p4d.24xlarge', InstanceCount: 1, VolumeSizeInGB: 9 });
  assert.deepEqual(StoppingCondition, { MaxRuntimeInSeconds: 60 });
});
