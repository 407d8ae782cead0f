// Every type of step: its JSON as AWS's SDK 2 writes it, and its arguments as AWS's own model of the API takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmrStep, type Expression, Pipeline, type StepDefinition } from '../../../lib/pipeline';
import { ENUMERATIONS, RANGES } from '../../../lib/pipeline/checks/members';
import { sdkEnumeration } from '../../../lib/pipeline/steps/schema';
import { botocore, skip } from './botocore';
import { ALL, lambda, MODE, training, tuning } from './whole-steps';

const written = (value: unknown) => JSON.parse(JSON.stringify(value));
const steps = written(new Pipeline('p', { parameters: [MODE], steps: ALL }).definition().Steps) as StepDefinition[];

/** A step's JSON beside its arguments. */
function beside(name: string): object {
  const { Arguments, ...rest } = steps.find(({ Name }) => Name === name) as StepDefinition;
  return rest;
}

test('a function has its ARN and its outputs beside its inputs', () => {
  assert.deepEqual(beside('Ask'), {
    Name: 'Ask',
    Type: 'Lambda',
    FunctionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:ask',
    OutputParameters: [
      { OutputName: 'verdict', OutputType: 'String' },
      { OutputName: 'score', OutputType: 'Float' },
    ],
  });
  assert.deepEqual(written(lambda.output('score')), { Get: "Steps.Ask.OutputParameters['score']" });
});

test('a callback has its queue and its outputs beside its inputs', () => {
  assert.deepEqual(beside('Wait'), {
    Name: 'Wait',
    Type: 'Callback',
    SqsQueueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/review',
    OutputParameters: [{ OutputName: 'approved', OutputType: 'Boolean' }],
  });
});

test('checks have their settings beside the processing job', () => {
  const settings = { SkipCheck: false, FailOnViolation: true, RegisterNewBaseline: false };
  assert.deepEqual(beside('Quality'), {
    Name: 'Quality',
    Type: 'QualityCheck',
    CheckType: 'DATA_QUALITY',
    ModelPackageGroupName: 'group',
    ...settings,
  });
  assert.deepEqual(beside('Bias'), { Name: 'Bias', Type: 'ClarifyCheck', CheckType: 'DATA_BIAS', ...settings });
});

test('an EMR step names a cluster, or asks for one', () => {
  assert.deepEqual(steps.find(({ Name }) => Name === 'Spark')?.Arguments, {
    StepConfig: { HadoopJarStep: { Jar: 'command-runner.jar', Args: ['spark-submit', 'a.py'] } },
    ClusterId: 'j-1',
  });
  const clusterConfig = { Instances: { InstanceGroups: [] } };
  assert.deepEqual(written(new EmrStep('S', { clusterConfig, jar: { Jar: 'a.jar' } }).toDefinition()).Arguments, {
    StepConfig: { HadoopJarStep: { Jar: 'a.jar' } },
    ClusterConfig: clusterConfig,
  });
});

test('a notebook is a training job of the scheduler', () => {
  assert.deepEqual(beside('Notebook'), { Name: 'Notebook', Type: 'Training' });
  const args = steps.find(({ Name }) => Name === 'Notebook')?.Arguments as Record<string, Record<string, unknown>>;
  assert.deepEqual(args.AlgorithmSpecification?.ContainerEntrypoint, ['amazon_sagemaker_scheduler']);
  assert.equal(args.Environment?.SM_INPUT_NOTEBOOK_NAME, 'report.ipynb');
  assert.deepEqual(args.HyperParameters, { mode: { Get: 'Parameters.Mode' } });
});

test('the URI of a top model is put together from the best jobs', () => {
  assert.deepEqual(written(tuning.topModel(2, 'bucket')), {
    'Std:Join': {
      On: '/',
      Values: ['s3:/', 'bucket', { Get: 'Steps.Tune.TrainingJobSummaries[2].TrainingJobName' }, 'output/model.tar.gz'],
    },
  });
});

test('entries of maps and of lists are found in brackets', () => {
  const { Environment, HyperParameters, SecondaryStatusTransitions } = training.properties;
  assert.deepEqual(written(Environment.NOTE as Expression), { Get: "Steps.Train.Environment['NOTE']" });
  assert.deepEqual(written(HyperParameters.epochs as Expression), { Get: "Steps.Train.HyperParameters['epochs']" });
  assert.deepEqual(written(SecondaryStatusTransitions[0]?.Status), {
    Get: 'Steps.Train.SecondaryStatusTransitions[0].Status',
  });
});

test('the SDK has each enumeration that the checker looks for', () => {
  const missing = Object.values(ENUMERATIONS).filter((name) => sdkEnumeration(name.replace('[]', '')).size === 0);
  assert.deepEqual(missing, []);
});

/** JSON has no infinity. */
const ranges = Object.fromEntries(
  Object.entries(RANGES).map(([member, range]) => [member, range.map((end) => (Number.isFinite(end) ? end : null))]),
);

test('botocore takes the arguments of every step, and knows the enumerations and ranges of the checker', {
  skip,
}, () => {
  assert.equal(botocore({ steps, enumerations: ENUMERATIONS, ranges }), '');
});

test('botocore tells what is wrong', { skip }, () => {
  const [split] = steps as [StepDefinition];
  const wrongStep = { ...split, Arguments: { ...split.Arguments, RoleArn: undefined } };
  const told = botocore({ steps: [wrongStep], enumerations: { 'ResourceConfig.InstanceType': 'Nothing' }, ranges: {} });
  assert.match(told, /Split: Missing required parameter in input: "RoleArn"/);
  assert.match(told, /ResourceConfig\.InstanceType is a TrainingInstanceType, not a Nothing/);
});
