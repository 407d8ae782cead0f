// Script mode, each launcher: the step of the stage means what AWS's SageMaker Python SDK 2 writes for its estimators.
// test/fixtures/sdk/script-mode.json is by test/oracle/lib/sagemaker_sdk; test/lib/pipeline/python-sdk sees that it stays true.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Pipeline, ScriptModeTraining, type ScriptModeTrainingProps } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';
import { meaning } from '../../pipeline/python-sdk/meaning';
import { ROLE } from '../../pipeline/whole-steps';

const { Steps } = JSON.parse(readFileSync(join(packageRoot, 'test/fixtures/sdk/script-mode.json'), 'utf8'));

const PROPS: Readonly<Record<string, Partial<ScriptModeTrainingProps>>> = {
  One: { instanceType: 'ml.g5.xlarge' },
  Ddp: { version: '2.2', launcher: 'pytorchddp', instanceType: 'ml.p4d.24xlarge', instanceCount: 2 },
  HuggingDdp: {
    framework: 'huggingface',
    version: '4.49.0',
    launcher: 'pytorchddp',
    instanceType: 'ml.g5.12xlarge',
    instanceCount: 2,
  },
  Torchrun: { launcher: 'torch_distributed', instanceType: 'ml.g5.12xlarge', instanceCount: 2 },
  Mpi: {
    launcher: 'mpi',
    processesPerHost: 4,
    mpiOptions: '--verbose',
    instanceType: 'ml.g5.12xlarge',
    instanceCount: 2,
  },
};

function stepOf(name: string, props: Partial<ScriptModeTrainingProps>) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test', {
    env: { account: '111122223333', region: 'eu-central-1' },
  });
  const { step, source } = new ScriptModeTraining(stack, name, {
    framework: 'pytorch',
    entryPoint: 'train.py',
    sourceDir: join(packageRoot, 'examples/script-mode-pytorch/source'),
    channels: { train: 's3://bucket/train' },
    output: 's3://bucket/models',
    role: Role.fromRoleArn(stack, 'Role', ROLE, { mutable: false }),
    maxRuntime: Duration.hours(1),
    volumeSize: 50,
    hyperparameters: { epochs: 10, learning_rate: 0.001, flip: true, model: 'densenet' },
    metricDefinitions: { loss: 'loss=([0-9.]+)' },
    profiler: { DisableProfiler: true },
    retry: [],
    ...props,
  });
  const text = JSON.stringify(new Pipeline('p', { steps: [step] }).definition().Steps[0]);
  // what the stage and the SDK each call their package
  const named = text.replaceAll(source.s3ObjectUrl, 's3://bucket/p/UPLOAD/sourcedir.tar.gz');
  return resolveTemplate(stack.resolve(JSON.parse(named)), { Resources: {} } as never);
}

for (const theirs of Steps) {
  test(`${theirs.Name}: the stage writes what the Python SDK writes`, () => {
    const ours = stepOf(theirs.Name, PROPS[theirs.Name] as Partial<ScriptModeTrainingProps>);
    assert.deepEqual(meaning(ours as never), meaning(theirs));
  });
}
