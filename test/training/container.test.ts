// The container contract of SageMaker, in a folder in place of /opt/ml: channels, results, failures, interruptions, serving.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { create } from 'tar';
import { inBase, trainingEnvironment } from '../../training/container';
import { listCheckpoints } from '../../training/engine/checkpoints/checkpoint';
import { type Ended, metricLines, type Running, start } from './command-line';
import { stripes, writeDataset, writeGrey } from './sample-images';
import { temporaryFolder } from './temporary-folder';

const HYPERPARAMETERS = {
  ...{ init_features: '4', growth_rate: '2', bn_size: '1', block_config: '"1,1"', img_size: '[32]', batch_size: '4' },
  ...{ num_epochs: '2', learning_rate: '0.01', sagemaker_region: '"eu-central-1"' },
};

/** A base folder as SageMaker fills it, with a small data set in the channels train and validation. */
async function baseFolderWith(hyperparameters: Record<string, string>, hosts = ['algo-1']): Promise<string> {
  const base = temporaryFolder();
  mkdirSync(join(base, 'input', 'config'), { recursive: true });
  writeFileSync(join(base, 'input', 'config', 'hyperparameters.json'), JSON.stringify(hyperparameters));
  writeFileSync(
    join(base, 'input', 'config', 'resourceconfig.json'),
    JSON.stringify({ current_host: 'algo-1', hosts, network_interface_name: 'eth0' }),
  );
  await writeDataset(join(base, 'input', 'data'), { train: 8, validation: 4, test: 2 });
  return base;
}

const run = (name: string, base: string, environment: Record<string, string> = {}, args: string[] = []): Running =>
  start(`containers/byoc/entrypoints/${name}.js`, args, { SAGEMAKER_BASE_DIR: base, ...environment });

/** Runs a function with other environment variables. */
function withEnvironment<Result>(variables: Record<string, string>, body: () => Result): Result {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return body();
  } finally {
    process.env = before;
  }
}

async function until(condition: () => boolean, { child }: Running): Promise<void> {
  while (!condition() && child.exitCode === null && child.signalCode === null) await wait(2);
}

let base: string;
let trained: Ended;

before(async () => {
  base = await baseFolderWith(HYPERPARAMETERS);
  trained = await run('train', base, { TENSORBOARD_LOG_DIR: '/opt/ml/output/tensorboard' }).ended;
  assert.equal(trained.status, 0, trained.stderr);
});

test('train reads the channels and hyperparameters.json, and leaves the model and its logs where SageMaker takes them', () => {
  const [best] = readdirSync(join(base, 'model', 'densenet121'));
  assert.match(best as string, /^best_model_[12]$/);
  assert.deepEqual(readdirSync(join(base, 'model', 'densenet121', best as string)).sort(), [
    'config.json',
    'history.json',
    'label_dict.json',
    'model.safetensors',
    'saved_model',
    'score.json',
  ]);
  assert.deepEqual(readdirSync(join(base, 'output', 'data', 'densenet121')).sort(), ['logs', 'model']);
  assert.match(trained.stdout, /train: 16 images .*\nvalid: 8 images .*\ntest: 4 images/);
  assert.equal(metricLines(trained.stdout).filter(({ valid_loss }) => valid_loss !== undefined).length, 2);
  assert.equal(existsSync(join(base, 'output', 'failure')), false);
});

test("TensorBoard's files are written where SageMaker copies them from while the job runs", () => {
  assert.match(readdirSync(join(base, 'output', 'tensorboard')).join(), /^events\.out\.tfevents\S+$/);
});

test("the variables of AWS's toolkits win over the files", async () => {
  const folder = await baseFolderWith({});
  const given = {
    SM_CHANNEL_TRAIN: '/elsewhere',
    SM_MODEL_DIR: '/m',
    SM_OUTPUT_DATA_DIR: '/o',
    SM_HOSTS: '["algo-1"]',
  };
  const environment = withEnvironment({ SAGEMAKER_BASE_DIR: folder, ...given }, trainingEnvironment);
  assert.equal(environment.folders.train, '/elsewhere');
  assert.equal(environment.folders.valid, join(folder, 'input', 'data', 'validation'));
  assert.equal(environment.modelDir, '/m');
  assert.equal(environment.outputDir, '/o');
});

test('several hosts are refused, whether the file or SM_HOSTS names them', async () => {
  const two = await baseFolderWith({}, ['algo-1', 'algo-2']);
  assert.throws(() => withEnvironment({ SAGEMAKER_BASE_DIR: two }, trainingEnvironment), /has 2 instances/);
  const one = await baseFolderWith({});
  const SM_HOSTS = '["algo-1","algo-2","algo-3"]';
  assert.throws(() => withEnvironment({ SAGEMAKER_BASE_DIR: one, SM_HOSTS }, trainingEnvironment), /has 3 instances/);
});

test('SM_HOSTS that is no list, and a channel that is a pipe, are refused with what is right', async () => {
  const folder = await baseFolderWith({});
  const environment = { SAGEMAKER_BASE_DIR: folder };
  assert.throws(
    () => withEnvironment({ ...environment, SM_HOSTS: 'algo-1' }, trainingEnvironment),
    /it is a JSON list/,
  );
  const channels = { train: { TrainingInputMode: 'Pipe' }, validation: { TrainingInputMode: 'File' } };
  writeFileSync(join(folder, 'input', 'config', 'inputdataconfig.json'), JSON.stringify(channels));
  assert.throws(
    () => withEnvironment(environment, trainingEnvironment),
    /channels train is Pipe[\s\S]*File or FastFile/,
  );
});

test('SM_HP_* wins over hyperparameters.json', async () => {
  const other = await baseFolderWith(HYPERPARAMETERS);
  const { stdout } = await run('train', other, { SM_HP_NUM_EPOCHS: '1' }).ended;
  assert.equal(metricLines(stdout).filter(({ epoch }) => epoch !== undefined).length, 1);
});

test('the folders are those of SM_CHANNEL_*, SM_MODEL_DIR and SM_OUTPUT_DATA_DIR where these are set', () => {
  const variables = {
    ...{ SAGEMAKER_BASE_DIR: base, SM_CHANNEL_VAL: '/elsewhere/val', SM_CHANNEL_TRAIN: '/elsewhere/train' },
    ...{ SM_MODEL_DIR: '/elsewhere/model', SM_OUTPUT_DATA_DIR: '/elsewhere/output' },
  };
  const { folders, modelDir, outputDir } = withEnvironment(variables, trainingEnvironment);
  assert.equal(folders.train, '/elsewhere/train');
  assert.equal(folders.test, join(base, 'input', 'data', 'test'));
  assert.deepEqual([modelDir, outputDir], ['/elsewhere/model', '/elsewhere/output']);
});

for (const name of ['data', 'training', 'dataset']) {
  test(`a channel ${name} holds all parts`, () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'input', 'data', name), { recursive: true });
    const { folders } = withEnvironment({ SAGEMAKER_BASE_DIR: folder }, trainingEnvironment);
    assert.deepEqual(folders, {
      ...{ data: join(folder, 'input', 'data', name), train: undefined, valid: undefined, test: undefined },
    });
  });
}

test('checkpoints go to /opt/ml/checkpoints only where the job has that folder', () => {
  const folder = temporaryFolder();
  const environment = () => withEnvironment({ SAGEMAKER_BASE_DIR: folder }, trainingEnvironment);
  assert.equal(environment().checkpointDir, undefined);
  mkdirSync(join(folder, 'checkpoints'));
  assert.equal(environment().checkpointDir, join(folder, 'checkpoints'));
});

test('the jobs of a tuning, which share a checkpoint configuration, keep their checkpoints apart', () => {
  const folder = temporaryFolder();
  for (const name of ['checkpoints', 'input/config']) mkdirSync(join(folder, name), { recursive: true });
  const hyperparameters = (content: object) =>
    writeFileSync(join(folder, 'input', 'config', 'hyperparameters.json'), JSON.stringify(content));
  const checkpointDir = (job: string) =>
    withEnvironment({ SAGEMAKER_BASE_DIR: folder, TRAINING_JOB_NAME: job }, trainingEnvironment).checkpointDir;
  hyperparameters({ num_epochs: '2' });
  assert.equal(checkpointDir('train-1'), join(folder, 'checkpoints'));
  hyperparameters({ num_epochs: '2', _tuning_objective_metric: '"valid_loss"' });
  assert.equal(checkpointDir('tune-001'), join(folder, 'checkpoints', 'tune-001'));
  assert.equal(existsSync(join(folder, 'checkpoints', 'tune-001')), true);
});

test('paths below /opt/ml are found below the base folder, others stay', () => {
  withEnvironment({ SAGEMAKER_BASE_DIR: '/base' }, () => {
    assert.deepEqual(['/opt/ml', '/opt/ml/input/x', '/opt/mlx', 'opt/ml', '/data'].map(inBase), [
      '/base',
      '/base/input/x',
      '/opt/mlx',
      'opt/ml',
      '/data',
    ]);
  });
});

test('a failure is told on stderr and in the file that SageMaker reads, and ends with status 1', async () => {
  const other = await baseFolderWith({ ...HYPERPARAMETERS, batch_size: '0' });
  const { status, stderr } = await run('train', other).ended;
  assert.equal(status, 1);
  const failure = readFileSync(join(other, 'output', 'failure'), 'utf8');
  assert.match(failure, /batch_size is "0" \(hyperparameters\.json\); allowed is a whole number from 1 to 4096/);
  assert.ok(stderr.includes(failure));
});

test('more than one instance is refused', async () => {
  const other = await baseFolderWith(HYPERPARAMETERS, ['algo-1', 'algo-2']);
  const { status } = await run('train', other).ended;
  assert.equal(status, 1);
  assert.match(
    readFileSync(join(other, 'output', 'failure'), 'utf8'),
    /the job has 2 instances; this trainer runs on one/,
  );
});

test('a job that brings a program of its own is refused, and told of the image that runs it', async () => {
  const other = await baseFolderWith({ ...HYPERPARAMETERS, sagemaker_program: '"train.ts"' });
  const { status, stderr } = await run('train', other).ended;
  assert.equal(status, 1);
  assert.match(stderr, /the job brings a program[\s\S]*train\.ts[\s\S]*Fix: run it on the image scanline\/script-mode/);
});

test('SIGTERM writes a checkpoint and ends with status 0; the job begun again goes on from there', async () => {
  const other = await baseFolderWith({ ...HYPERPARAMETERS, num_epochs: '1000', checkpoint_interval: '3' });
  const checkpoints = join(other, 'checkpoints');
  mkdirSync(checkpoints);
  const first = run('train', other);
  await until(() => listCheckpoints(checkpoints).length > 0, first);
  first.child.kill('SIGTERM');
  const { status, stdout, stderr } = await first.ended;
  assert.equal(status, 0, stderr);
  const [, step] = /interrupted: checkpoint written at epoch \d+, step (\d+)/.exec(stdout) ?? [];
  const newest = listCheckpoints(checkpoints)[0];
  assert.equal(newest?.step, Number(step));
  assert.equal(existsSync(join(other, 'output', 'failure')), false);

  const second = run('train', other);
  await until(() => (listCheckpoints(checkpoints)[0]?.step as number) > Number(step), second);
  second.child.kill('SIGTERM');
  const again = await second.ended;
  assert.equal(again.status, 0, again.stderr);
  assert.ok(again.stdout.includes(`resumed from ${newest?.path}: `), again.stdout);
});

test('evaluate unpacks model.tar.gz and writes evaluation.json', async () => {
  const input = join(base, 'processing', 'input');
  mkdirSync(join(input, 'model'), { recursive: true });
  await create({ file: join(input, 'model', 'model.tar.gz'), cwd: join(base, 'model'), gzip: true }, ['densenet121']);
  const args = ['--data', '/opt/ml/input/data/test'];
  const { status, stdout, stderr } = await run('evaluate', base, {}, args).ended;
  assert.equal(status, 0, stderr);
  const report = JSON.parse(readFileSync(join(base, 'processing', 'output', 'evaluation', 'evaluation.json'), 'utf8'));
  assert.equal(report.images, 4);
  const { value } = report.multiclass_classification_metrics.accuracy;
  assert.match(stdout, new RegExp(`accuracy=${value}; images=4;`));
  const { test_accuracy } = metricLines(trained.stdout).find((line) => line.test_accuracy !== undefined) ?? {};
  assert.equal(value, test_accuracy);
});

test('serve answers on the port that SageMaker gives, and ends with status 0 on SIGTERM', async () => {
  const running = run('serve', base, { SAGEMAKER_BIND_TO_PORT: '0', SCANLINE_BIND_HOST: '127.0.0.1' });
  let printed = '';
  running.child.stdout?.on('data', (chunk) => {
    printed += chunk;
  });
  await until(() => /serving at \S+\n/.test(printed), running);
  const [, url] = /serving at (\S+)\n/.exec(printed) ?? [];
  assert.equal((await fetch(`${url}/ping`)).status, 200);
  await writeGrey(join(base, 'image.png'), stripes('along', 1), 32);
  const body = new Uint8Array(readFileSync(join(base, 'image.png')));
  const response = await fetch(`${url}/invocations`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'image/png' },
  });
  assert.deepEqual(Object.keys(((await response.json()) as { probabilities: object }).probabilities), [
    'across',
    'along',
  ]);
  running.child.kill('SIGTERM');
  assert.equal((await running.ended).status, 0);
});

test('serve refuses a setting that is no number, and leaves the reason', async () => {
  const { status, stderr } = await run('serve', base, { SCANLINE_WORKERS: 'two' }).ended;
  assert.equal(status, 1);
  assert.match(stderr, /SCANLINE_WORKERS is 'two'; allowed are whole numbers from 1/);
});
