// The local control plane as Python sees it: AWS's own boto3, whose model of the API parses every answer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ConditionStep, equals, FailStep, ParameterString, Pipeline, TrainingStep } from '../../../lib/pipeline';
import { packageRoot } from '../../../training/native/cache';
import { controlPlane, IMAGE, ROLE } from './control-plane';

const PYTHON = join(packageRoot, '.oracle', 'bin', 'python');
const skip = existsSync(PYTHON) ? false : 'there is no .oracle: `npm run oracle` makes it';

/** The program runs beside this process, which answers it. */
async function python(url: string, input: string): Promise<string> {
  const child = spawn(PYTHON, ['test/oracle/lib/boto3_pipeline.py', url], { cwd: packageRoot });
  child.stdin.end(input);
  const [output, errors, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  assert.equal(status, 0, errors);
  return output;
}

test('boto3 creates a pipeline, starts it with a parameter, and sees its steps and the job that ran', {
  skip,
}, async (t) => {
  const plane = await controlPlane(t, {
    train: 'cp input/config/hyperparameters.json model/',
  });
  plane.put('s3://data/train/a.txt', 'a');
  const greeting = new ParameterString('Greeting', { defaultValue: 'hello' });
  const train = new TrainingStep('Train', {
    arguments: {
      AlgorithmSpecification: { TrainingImage: IMAGE, TrainingInputMode: 'File' },
      RoleArn: ROLE,
      HyperParameters: { greeting },
      InputDataConfig: [
        {
          ChannelName: 'train',
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://data/train' } },
        },
      ],
      OutputDataConfig: { S3OutputPath: 's3://data/models' },
      ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.m5.large', VolumeSizeInGB: 1 },
      StoppingCondition: { MaxRuntimeInSeconds: 60 },
    },
  });
  const gate = new ConditionStep('Gate', {
    dependsOn: [train],
    conditions: [equals(greeting, 'servus')],
    ifSteps: [],
    elseSteps: [new FailStep('Stop', { errorMessage: 'no greeting' })],
  });
  const definition = new Pipeline('boto', { parameters: [greeting], steps: [train, gate] }).definition();
  const { model, ...seen } = JSON.parse(await python(plane.url, JSON.stringify(definition)));
  assert.deepEqual(seen, {
    arn: 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/boto',
    same: true,
    listed: ['boto'],
    status: 'Succeeded',
    steps: { Train: 'Succeeded', Gate: 'Succeeded' },
    ordered: true,
    greeting: 'servus',
    missing: 'ResourceNotFound',
  });
  assert.match(model, /^s3:\/\/data\/models\/.+\/output\/model\.tar\.gz$/);
});
