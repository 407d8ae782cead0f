// What the compiler refuses: were one of these wrong lines to compile, `tsc` would call its directive unused and the build would fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EmrStep,
  type Expression,
  greaterThan,
  join,
  ModelStep,
  ParameterFloat,
  ParameterInteger,
  ParameterString,
  type ProcessingArguments,
  ProcessingStep,
  QualityCheckStep,
  type RetryPolicy,
  type TrainingArguments,
  TrainingStep,
  type TransformArguments,
  TransformStep,
} from '../../../lib/pipeline';
import { lambda, tuning } from './whole-steps';

type Cluster = NonNullable<NonNullable<ProcessingArguments['ProcessingResources']>['ClusterConfig']>;
const cluster = { InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 30 } as const;

const training = new TrainingStep('Train', { arguments: {} as TrainingArguments });
const processing = new ProcessingStep('Split', { arguments: {} as ProcessingArguments });
const quality = new QualityCheckStep('Q', { arguments: {} as ProcessingArguments, checkType: 'DATA_QUALITY' });

test('wrong references do not compile', () => {
  const wrong = () => {
    // @ts-expect-error a training job has no such member
    training.properties.ModelArtifact;
    // @ts-expect-error a member of a processing job is none of a training job
    training.properties.ProcessingOutputConfig;
    // @ts-expect-error a training job has no outputs by name
    training.output('train');
    // @ts-expect-error a number is no text
    const uri: Expression<string> = training.properties.TrainingTimeInSeconds;
    // @ts-expect-error a text is no number
    new ParameterFloat('LeastAccuracy', { defaultValue: '0.9' });
    // @ts-expect-error what is compared must be an expression
    greaterThan(0.5, 0.9);
    return uri;
  };
  assert.equal(typeof wrong, 'function');
});

test('wrong arguments do not compile', () => {
  const wrong = () => {
    // @ts-expect-error a training job must have a role
    new TrainingStep('Train', { arguments: { OutputDataConfig: { S3OutputPath: 's3://b' } } });
    // @ts-expect-error a text is no count
    const wrongCount: Cluster = { ...cluster, InstanceCount: new ParameterString('Count') };
    return wrongCount;
  };
  assert.equal(typeof wrong, 'function');
});

test('wrong steps of the other types do not compile', () => {
  const wrong = () => {
    // @ts-expect-error an output that the function does not declare
    lambda.output('nothing');
    // @ts-expect-error a text is no number
    const score: Expression<number> = lambda.output('verdict');
    // @ts-expect-error a tuning job has no such member
    tuning.properties.ModelArtifacts;
    // @ts-expect-error a check has no job's description
    quality.properties.ProcessingJobArn;
    // @ts-expect-error a model is made without a job, whose failures cannot be retried
    new ModelStep('M', { arguments: {}, retry: [{ exceptions: ['SageMaker.CAPACITY_ERROR'], maxAttempts: 1 }] });
    // @ts-expect-error a retry policy ends by attempts or by time, not by both
    const policy: RetryPolicy = { exceptions: ['Step.THROTTLING'], maxAttempts: 1, expireAfterMinutes: 1 };
    // @ts-expect-error a cluster runs already, or is made, not both
    new EmrStep('E', { jar: { Jar: 'a.jar' }, clusterId: 'j-1', clusterConfig: { Instances: {} } });
    // @ts-expect-error SageMaker names the job itself
    new TransformStep('T', { arguments: { ...({} as TransformArguments), TransformJobName: 'mine' } });
    return [score, policy];
  };
  assert.equal(typeof wrong, 'function');
});

test('right references compile', () => {
  const uri: Expression<string> = processing.output('train');
  const model: Expression<string> = training.properties.ModelArtifacts.S3ModelArtifacts;
  const seconds: Expression<number> = training.properties.TrainingTimeInSeconds;
  const count: Cluster = { ...cluster, InstanceCount: new ParameterInteger('Count') };
  assert.equal(JSON.stringify(join('', uri, model, seconds)).includes('TrainingTimeInSeconds'), true);
  assert.ok(count);
});
