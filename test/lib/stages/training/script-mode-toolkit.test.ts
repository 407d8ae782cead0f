// AWS's own sagemaker-training runs what script mode packs, with the hyperparameters that it writes: the example, on real images.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { ScriptModeTraining } from '../../../../lib';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';

const PYTHON = join(packageRoot, '.oracle', 'bin', 'python');

/** Why the test is left out; false where the toolkit and what the example needs are there. */
const withoutToolkit = ((): string | false => {
  if (!existsSync(PYTHON)) return 'there is no .oracle/bin/python; `bash test/oracle/setup.sh` makes it';
  const { status } = spawnSync(PYTHON, [
    '-c',
    'import sagemaker_training, PIL; import importlib.util as u; u.find_spec("torch").origin',
  ]);
  return status === 0 ? false : '.oracle has no sagemaker-training; `bash test/oracle/setup.sh` installs it';
})();

/** The job's folder as SageMaker lays it out before the container starts. */
function prepare(hyperparameters: Readonly<Record<string, string>>): string {
  const base = temporaryFolder();
  const write = (name: string, content: unknown) => {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), JSON.stringify(content));
  };
  write('input/config/hyperparameters.json', hyperparameters);
  write('input/config/resourceconfig.json', {
    current_host: 'localhost',
    hosts: ['localhost'],
    network_interface_name: 'lo',
  });
  write('input/config/inputdataconfig.json', { train: { TrainingInputMode: 'File' } });
  for (const name of ['model', 'output/data', 'output/intermediate']) mkdirSync(join(base, name), { recursive: true });
  for (const plane of ['axial', 'coronal', 'sagittal']) {
    cpSync(join(packageRoot, 'examples/mni-planes/images', plane), join(base, 'input/data/train', plane), {
      recursive: true,
    });
  }
  return base;
}

test('the toolkit runs the packed example, which trains and leaves its model', { skip: withoutToolkit }, () => {
  const app = new App({ outdir: temporaryFolder() });
  const stack = new Stack(app, 'Test', { env: { account: '111122223333', region: 'eu-central-1' } });
  const training = new ScriptModeTraining(stack, 'Train', {
    framework: 'pytorch',
    entryPoint: 'train.py',
    sourceDir: join(packageRoot, 'examples/script-mode-pytorch/source'),
    hyperparameters: { epochs: 2, learning_rate: 0.002, size: 16 },
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r'),
  });
  const { HyperParameters } = JSON.parse(JSON.stringify(training.step.toDefinition())).Arguments;
  const packed = resolve(app.outdir, training.source.assetPath);
  const base = prepare({
    ...stack.resolve(HyperParameters),
    // what the container would fetch from S3
    sagemaker_submit_directory: JSON.stringify(packed),
  });
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-m', 'sagemaker_training.cli.train'], {
    encoding: 'utf8',
    cwd: base,
    env: {
      ...process.env,
      SAGEMAKER_BASE_DIR: base,
      PATH: `${dirname(PYTHON)}:${process.env.PATH}`,
      OMP_NUM_THREADS: '1',
    },
    timeout: 180_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  const log = `${stdout}${stderr}`;
  assert.match(log, /epoch=1; train_loss=[0-9.]+; train_accuracy=[0-9.]+;/);
  assert.doesNotMatch(log, /epoch=2/);
  assert.deepEqual(JSON.parse(readFileSync(join(base, 'model/classes.json'), 'utf8')), [
    'axial',
    'coronal',
    'sagittal',
  ]);
  assert.ok(existsSync(join(base, 'model/model.pth')));
});
