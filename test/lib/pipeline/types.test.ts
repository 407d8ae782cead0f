// What the compiler refuses: were one of these wrong lines to compile, `tsc` would call its directive unused and the build would fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Expression,
  greaterThan,
  join,
  ParameterFloat,
  ParameterInteger,
  ParameterString,
  type ProcessingArguments,
  ProcessingStep,
  type TrainingArguments,
  TrainingStep,
} from '../../../lib/pipeline';

type Cluster = NonNullable<NonNullable<ProcessingArguments['ProcessingResources']>['ClusterConfig']>;
const cluster = { InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 30 } as const;

const training = new TrainingStep('Train', { arguments: {} as TrainingArguments });
const processing = new ProcessingStep('Split', { arguments: {} as ProcessingArguments });

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

test('right references compile', () => {
  const uri: Expression<string> = processing.output('train');
  const model: Expression<string> = training.properties.ModelArtifacts.S3ModelArtifacts;
  const seconds: Expression<number> = training.properties.TrainingTimeInSeconds;
  const count: Cluster = { ...cluster, InstanceCount: new ParameterInteger('Count') };
  assert.equal(JSON.stringify(join('', uri, model, seconds)).includes('TrainingTimeInSeconds'), true);
  assert.ok(count);
});
