// The tuning stage: what its props become in the step, the best models, and what it takes of the training stages.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  ByocImage,
  categorical,
  continuous,
  Evaluation,
  ExecutionVariables,
  integer,
  join as joinTexts,
  ParameterString,
  Registration,
  Tuning,
  type TuningProps,
} from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

type Given = Partial<Omit<TuningProps, 'training'>> & { readonly training?: object };

/** A tuning of Scanline's trainer, with other props. */
function synth(given: (stack: Stack) => Given = () => ({}), region?: string) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test', region ? { env: { region } } : {});
  const { training, ...props } = given(stack);
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
  const tuning = new Tuning(stack, 'Tune', {
    ranges: { learning_rate: continuous(1e-4, 1e-2, { scaling: 'Logarithmic' }) },
    objective: 'valid_loss',
    ...props,
    training: {
      image: ByocImage.scanlineFromUri(stack, 'Image', 'registry.test/scanline:1'),
      channels: { train: 's3://b/train' },
      output: 's3://b/out',
      role,
      ...training,
    },
  });
  const definition = stack.resolve(JSON.parse(JSON.stringify(tuning.step.toDefinition())));
  const { HyperParameterTuningJobConfig: config, TrainingJobDefinition: job } = definition.Arguments;
  return { stack, tuning, role, definition, config, job };
}

const configOf = (given: Given) => synth(() => given).config;

test('without more: Bayesian, ten jobs, one after the other, no early stopping, each job as a training has it', () => {
  const { config, job, definition } = synth(() => ({ training: { hyperparameters: { num_epochs: 3 } } }));
  assert.deepEqual(config, {
    Strategy: 'Bayesian',
    HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'valid_loss' },
    ResourceLimits: { MaxNumberOfTrainingJobs: 10, MaxParallelTrainingJobs: 1 },
    ParameterRanges: {
      IntegerParameterRanges: [],
      ContinuousParameterRanges: [
        { Name: 'learning_rate', MinValue: '0.0001', MaxValue: '0.01', ScalingType: 'Logarithmic' },
      ],
      CategoricalParameterRanges: [],
    },
    TrainingJobEarlyStoppingType: 'Off',
  });
  assert.deepEqual(job.StaticHyperParameters, { num_epochs: '3' });
  assert.deepEqual(job.ResourceConfig, { InstanceType: 'ml.g5.xlarge', InstanceCount: 1, VolumeSizeInGB: 50 });
  assert.deepEqual(Object.keys(definition.Arguments), ['HyperParameterTuningJobConfig', 'TrainingJobDefinition']);
  assert.equal(definition.RetryPolicies[0].ExceptionType[0], 'SageMaker.CAPACITY_ERROR');
});

test('ranges are texts, by their types', () => {
  const { ParameterRanges } = configOf({
    ranges: {
      batch_size: integer(8, 64, { scaling: 'Linear' }),
      dropout: continuous(0, 0.5, { scaling: 'ReverseLogarithmic' }),
      optimizer: categorical(['adam', 'sgd']),
      img_size: categorical([[128], [224, 192]]),
    },
  });
  assert.deepEqual(ParameterRanges, {
    IntegerParameterRanges: [{ Name: 'batch_size', MinValue: '8', MaxValue: '64', ScalingType: 'Linear' }],
    ContinuousParameterRanges: [{ Name: 'dropout', MinValue: '0', MaxValue: '0.5', ScalingType: 'ReverseLogarithmic' }],
    CategoricalParameterRanges: [
      { Name: 'optimizer', Values: ['adam', 'sgd'] },
      { Name: 'img_size', Values: ['128', '224,192'] },
    ],
  });
});

for (const [objective, type] of [
  ['valid_loss', 'Minimize'],
  ['valid_accuracy', 'Maximize'],
] as const) {
  test(`${objective} is what to ${type.toLowerCase()}`, () => {
    assert.deepEqual(configOf({ objective }).HyperParameterTuningJobObjective, { Type: type, MetricName: objective });
  });
}

test('Dice is maximised, and what is given wins over the name', () => {
  const metricDefinitions = { val_dice: 'dice=([0-9.]+)', images_per_second: 'ips=([0-9.]+)' };
  const typeOf = (given: Given) =>
    configOf({ training: { metricDefinitions }, ...given }).HyperParameterTuningJobObjective.Type;
  assert.equal(typeOf({ objective: 'val_dice' }), 'Maximize');
  assert.equal(typeOf({ objective: 'val_dice', objectiveType: 'Minimize' }), 'Minimize');
  assert.equal(typeOf({ objective: 'images_per_second', objectiveType: 'Maximize' }), 'Maximize');
});

test('Hyperband has the epochs of its shortest and longest jobs', () => {
  const { Strategy, StrategyConfig, TrainingJobEarlyStoppingType } = configOf({
    strategy: 'Hyperband',
    minResource: 1,
    maxResource: 9,
    training: { hyperparameters: { num_epochs: 9 } },
  });
  assert.deepEqual(
    [Strategy, StrategyConfig, TrainingJobEarlyStoppingType],
    ['Hyperband', { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } }, 'Off'],
  );
});

test('a grid needs no number of jobs', () => {
  const { ResourceLimits } = configOf({
    strategy: 'Grid',
    ranges: { optimizer: categorical(['adam', 'sgd']), dropout: categorical([0, 0.1, 0.2]) },
    maxParallelJobs: 6,
  });
  assert.deepEqual(ResourceLimits, { MaxParallelTrainingJobs: 6 });
});

test('jobs, time, early stopping, seed and ends that are given are taken', () => {
  const config = configOf({
    strategy: 'Random',
    maxJobs: 30,
    maxParallelJobs: 3,
    maxTotalRuntime: Duration.hours(6),
    earlyStopping: 'Auto',
    seed: 0,
    targetObjective: 0,
    maxJobsWithoutImprovement: 5,
    completeOnConvergence: true,
  });
  assert.deepEqual(config.ResourceLimits, {
    MaxNumberOfTrainingJobs: 30,
    MaxParallelTrainingJobs: 3,
    MaxRuntimeInSeconds: 21_600,
  });
  assert.deepEqual([config.Strategy, config.TrainingJobEarlyStoppingType, config.RandomSeed], ['Random', 'Auto', 0]);
  assert.deepEqual(config.TuningJobCompletionCriteria, {
    TargetObjectiveMetricValue: 0,
    BestObjectiveNotImproving: { MaxNumberOfTrainingJobsNotImproving: 5 },
    ConvergenceDetected: { CompleteOnConvergence: 'Enabled' },
  });
});

test('a warm start names its parents', () => {
  const parent = new ParameterString('Parent', { defaultValue: 'last-week' });
  const { definition } = synth(() => ({ warmStartFrom: ['first', parent], warmStartType: 'TransferLearning' }));
  assert.deepEqual(definition.Arguments.WarmStartConfig, {
    ParentHyperParameterTuningJobs: [
      { HyperParameterTuningJobName: 'first' },
      { HyperParameterTuningJobName: { Get: 'Parameters.Parent' } },
    ],
    WarmStartType: 'TransferLearning',
  });
});

test("several instance types are the service's own list, with one key for all of them", () => {
  const { job } = synth((stack) => ({
    fallbackInstanceTypes: ['ml.m5.2xlarge', 'ml.c5.4xlarge'],
    training: { instanceType: 'ml.m5.4xlarge', volumeSize: 7, volumeKey: new Key(stack, 'Key') },
  }));
  assert.equal(job.ResourceConfig, undefined);
  const { VolumeKmsKeyId, ...list } = job.HyperParameterTuningResourceConfig;
  assert.match(JSON.stringify(VolumeKmsKeyId), /Key/);
  assert.deepEqual(list, {
    AllocationStrategy: 'Prioritized',
    InstanceConfigs: ['ml.m5.4xlarge', 'ml.m5.2xlarge', 'ml.c5.4xlarge'].map((InstanceType) => ({
      InstanceType,
      InstanceCount: 1,
      VolumeSizeInGB: 7,
    })),
  });
});

test('types with local disks take no key in the list either', () => {
  const { job } = synth((stack) => ({
    fallbackInstanceTypes: ['ml.g6.xlarge'],
    training: { volumeKey: new Key(stack, 'Key') },
  }));
  assert.equal('VolumeKmsKeyId' in job.HyperParameterTuningResourceConfig, false);
});

test('the jobs have the settings of every training stage; tags are the tuning', () => {
  const { stack, tuning, job, definition } = synth((scope) => ({
    training: {
      vpc: new Vpc(scope, 'Vpc', { maxAzs: 2 }),
      spot: true,
      maxRuntime: Duration.hours(1),
      networkIsolation: true,
      encryptBetweenContainers: true,
      environment: { A: '1' },
      outputKey: new Key(scope, 'Key'),
      tags: { project: 'planes' },
    },
  }));
  assert.equal(job.EnableManagedSpotTraining, true);
  assert.deepEqual(job.StoppingCondition, { MaxRuntimeInSeconds: 3600, MaxWaitTimeInSeconds: 7200 });
  assert.deepEqual(job.CheckpointConfig.S3Uri['Std:Join'].Values.slice(1), [
    'checkpoints',
    { Get: 'Execution.PipelineExecutionId' },
    'Tune',
  ]);
  assert.equal(job.VpcConfig.Subnets.length, 2);
  assert.deepEqual([job.EnableNetworkIsolation, job.EnableInterContainerTrafficEncryption], [true, true]);
  assert.deepEqual(job.Environment, { A: '1' });
  assert.ok(job.OutputDataConfig.KmsKeyId);
  assert.deepEqual([definition.Arguments.Tags, job.Tags], [[{ Key: 'project', Value: 'planes' }], undefined]);
  assert.equal(tuning.connections.securityGroups.length, 1);
  const policies = JSON.stringify(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.match(policies, /ec2:CreateNetworkInterface/);
  assert.match(policies, /kms:GenerateDataKey\*/);
});

test('the model is that of the best job, and others are had by their rank', () => {
  const output = joinTexts('/', 's3://b/pipelines', ExecutionVariables.pipelineExecutionId, 'tuning');
  const { tuning } = synth(() => ({ training: { output } }));
  const uri = (rank: number) => ({
    'Std:Join': {
      On: '/',
      Values: [
        's3://b/pipelines',
        { Get: 'Execution.PipelineExecutionId' },
        'tuning',
        { Get: `Steps.Tune.TrainingJobSummaries[${rank}].TrainingJobName` },
        'output/model.tar.gz',
      ],
    },
  });
  assert.deepEqual(JSON.parse(JSON.stringify([tuning.model, tuning.topModel(2)])), [uri(0), uri(2)]);
});

test('evaluation and registration take a tuning as they take a training', () => {
  const { stack, tuning, role } = synth();
  const evaluation = new Evaluation(stack, 'Evaluate', {
    training: tuning,
    test: 's3://b/t',
    output: 's3://b/e',
    role,
  });
  const { modelStep } = new Registration(stack, 'Register', {
    training: tuning,
    evaluation,
    role,
    groupName: 'planes',
  });
  const written = (value: unknown) => JSON.parse(JSON.stringify(value));
  const model = written(tuning.model);
  assert.deepEqual(written(evaluation.step.toDefinition()).Arguments.ProcessingInputs[0].S3Input.S3Uri, model);
  assert.deepEqual(written(modelStep.toDefinition()).Arguments.PrimaryContainer, {
    Image: tuning.image.uri,
    ModelDataUrl: model,
  });
});

test('a script is tuned as it is trained: packed, with what finds it, and its choices as JSON', () => {
  const sourceDir = temporaryFolder();
  writeFileSync(join(sourceDir, 'train.py'), 'print(1)\n');
  const { stack, tuning, job, config } = synth(() => ({
    ranges: { optimizer: categorical(['adam', 'sgd']), width: categorical([1, 2]), lr: continuous(0.1, 1) },
    objective: 'val:dice',
    training: {
      image: undefined,
      framework: 'pytorch',
      version: '2.6.0',
      entryPoint: 'train.py',
      sourceDir,
      hyperparameters: { epochs: 3 },
      metricDefinitions: { 'val:dice': 'dice=([0-9.]+)' },
      networkIsolation: true,
    },
  }));
  assert.deepEqual(config.ParameterRanges.CategoricalParameterRanges, [
    { Name: 'optimizer', Values: ['"adam"', '"sgd"'] },
    { Name: 'width', Values: ['1', '2'] },
  ]);
  assert.equal(config.HyperParameterTuningJobObjective.Type, 'Maximize');
  assert.equal(job.StaticHyperParameters.epochs, '3');
  assert.equal(job.StaticHyperParameters.sagemaker_program, '"train.py"');
  assert.deepEqual(
    job.InputDataConfig.map(({ ChannelName }: { ChannelName: string }) => ChannelName),
    ['train', 'code'],
  );
  assert.match(JSON.stringify(stack.resolve(tuning.image.uri)), /pytorch-training:2\.6\.0-gpu-py312/);
});

test('a batch that will not fit the GPU is warned of, though only its range has it', () => {
  const { stack } = synth((scope) => ({
    ranges: { batch_size: integer(8, 512) },
    training: { image: ByocImage.scanline(scope, 'Own'), hyperparameters: { img_size: [512] } },
  }));
  Annotations.fromStack(stack).hasWarning(
    '/Test/Tune',
    Match.stringLikeRegexp('in batches of 512 .* a GPU of ml.g5.xlarge'),
  );
});

test('an objective on the test images is warned of', () => {
  const channels = { train: 's3://b/train', test: 's3://b/test' };
  const { stack } = synth(() => ({ objective: 'test_accuracy', training: { channels } }));
  Annotations.fromStack(stack).hasWarning('/Test/Tune', Match.stringLikeRegexp('Choose valid_accuracy'));
});

test('more jobs than an account may have at first are warned of', () => {
  const { stack } = synth(() => ({ strategy: 'Random', maxJobs: 751, maxParallelJobs: 11 }));
  const annotations = Annotations.fromStack(stack);
  annotations.hasWarning('/Test/Tune', Match.stringLikeRegexp('maxJobs is 751, and by default SageMaker takes 750'));
  annotations.hasWarning(
    '/Test/Tune',
    Match.stringLikeRegexp('maxParallelJobs is 11, and by default SageMaker takes 10'),
  );
  const few = Annotations.fromStack(synth(() => ({ maxJobs: 750, maxParallelJobs: 10 })).stack);
  few.hasNoWarning('/Test/Tune', Match.stringLikeRegexp('by default'));
});

test('prices of another region are warned of, unless a price is given', () => {
  const warned = (given: Given, region: string) =>
    Annotations.fromStack(synth(() => ({ maxCost: 1e6, ...given }), region).stack).findWarning(
      '/Test/Tune',
      Match.stringLikeRegexp('set pricePerHour'),
    ).length;
  assert.deepEqual(
    [warned({}, 'eu-west-1'), warned({ pricePerHour: 2 }, 'eu-west-1'), warned({}, 'us-east-1')],
    [1, 0, 0],
  );
});
