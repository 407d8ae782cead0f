// A TypeScript program from the stage to the container's command, without the container: bundled and packed at synth, then unpacked and
// run by `train` as SageMaker runs it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, type TestContext, test } from 'node:test';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { packageRoot } from '../../training/native/cache';
import { eventually } from '../lib/local/control-plane';
import { MOTO_CREDENTIALS, skipMoto, startMoto } from '../moto';
import { temporaryFolder } from '../training/temporary-folder';
import { baseOf, baseWithPackage, stage } from './script-mode-jobs';

/** Parameters of MONAI's DenseNet121 for one channel and two classes. */
const DENSENET121 = 6_949_634;

const PROGRAM = `
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildNetwork, parameterCount, readHyperparameters } from 'scanline-sagemaker/training';
import { greeting } from './greeting';

const shape = { inChannels: 1, classes: 2, imageSize: [64, 64] as [number, number] };
const network = buildNetwork(readHyperparameters({ environment: process.env }), shape);
const seen = {
  greeting,
  words: readFileSync('words.txt', 'utf8').trim(),
  parameters: parameterCount(network),
  arguments: process.argv.slice(2),
  train: process.env.SM_CHANNEL_TRAIN,
  hosts: process.env.SM_HOSTS,
  epochs: process.env.SM_HP_NUM_EPOCHS,
};
writeFileSync(join(process.env.SM_MODEL_DIR as string, 'seen.json'), JSON.stringify(seen));
`;

function train(base: string, environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(join(packageRoot, 'containers/script-mode/bin/train'), {
    env: { ...process.env, ...environment, SAGEMAKER_BASE_DIR: base },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // of a test that failed in its middle: the program gets the signal too
  after(() => child.kill('SIGTERM'));
  return child;
}

async function ended(child: ChildProcess) {
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'close'),
  ]);
  return { status, stdout, stderr };
}

const HELLO = { 'train.ts': "console.log('hello');\n" };

test('a TypeScript program is bundled with what it imports, packed with its data, and comes by a channel', () => {
  const { job, training } = stage({ ...HELLO, 'words.txt': 'axial\n', 'package.json': '{}' });
  assert.deepEqual(
    training.packedFiles.map(({ name }) => name),
    ['train.js', 'words.txt'],
  );
  assert.equal(training.image.localCommands, 'scanline-sagemaker/containers/script-mode');
  assert.equal(job.HyperParameters.sagemaker_program, '"train.js"');
  assert.match(job.HyperParameters.sagemaker_submit_directory, /^"\/opt\/ml\/input\/data\/code\/[0-9a-f]{64}\.gz"$/);
  assert.deepEqual(
    job.InputDataConfig.map(({ ChannelName }: { ChannelName: string }) => ChannelName),
    ['train', 'code'],
  );
});

test('the same program gives the same package', () => {
  assert.equal(stage(HELLO).training.source.assetHash, stage(HELLO).training.source.assetHash);
});

test('the container runs it with the trainer as a library, the SM_ environment and the hyperparameters', async () => {
  const base = baseOf(
    stage({
      'train.ts': PROGRAM,
      'greeting.ts': "export const greeting: string = 'servus';\n",
      'words.txt': 'axial\n',
    }),
  );
  const { status, stderr } = await ended(train(base));
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(readFileSync(join(base, 'model/seen.json'), 'utf8')), {
    greeting: 'servus',
    words: 'axial',
    parameters: DENSENET121,
    arguments: ['--model_name', 'densenet121', '--num_epochs', '3'],
    train: join(base, 'input/data/train'),
    hosts: '["algo-1","algo-2"]',
    epochs: '3',
  });
});

test('a program that fails ends the job with what it said, by the line of its source', async () => {
  const base = baseOf(stage({ 'train.ts': "const reason: string = 'no images';\n\nthrow new Error(reason);\n" }));
  const { status } = await ended(train(base));
  assert.equal(status, 1);
  const failure = readFileSync(join(base, 'output/failure'), 'utf8');
  assert.match(failure, /train\.js ended with status 1/);
  assert.match(failure, /no images/);
  assert.match(failure, /train\.ts:3/);
});

test('SIGTERM reaches the program, which may still write its model', async () => {
  const program = `
    import { writeFileSync } from 'node:fs';
    process.once('SIGTERM', () => {
      writeFileSync(process.env.SM_MODEL_DIR + '/stopped', '');
      process.exit(0);
    });
    writeFileSync(process.env.SM_MODEL_DIR + '/ready', '');
    setInterval(() => {}, 1000);`;
  const base = baseOf(stage({ 'train.ts': program }));
  const child = train(base);
  const end = ended(child);
  await eventually(() => existsSync(join(base, 'model/ready')));
  child.kill('SIGTERM');
  assert.equal((await end).status, 0);
  assert.ok(existsSync(join(base, 'model/stopped')));
});

const LIBRARY = `
import { writeFileSync } from 'node:fs';
import { densenet, fit, parameterCount } from 'scanline-sagemaker/training';
import { classes } from './network/classes.js';
const network = densenet({ inChannels: 1, classes });
writeFileSync(process.env.SM_MODEL_DIR + '/seen.json', JSON.stringify([typeof fit, parameterCount(network)]));
`;

const SEEN = ['function', DENSENET121];

test('a package of plain TypeScript, bundled by nobody, runs with the trainer as a library', async () => {
  const base = await baseWithPackage('src/train.ts', {
    'src/train.ts': LIBRARY.replace('classes.js', 'classes'),
    'src/network/classes.ts': 'export const classes: number = 2;\n',
  });
  const { status, stderr } = await ended(train(base));
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(readFileSync(join(base, 'model/seen.json'), 'utf8')), SEEN);
});

test('a package of plain JavaScript modules runs as it is', async () => {
  const base = await baseWithPackage('train.mjs', {
    'train.mjs': LIBRARY,
    'network/classes.js': 'export const classes = 2;\n',
    'package.json': '{"type": "module"}',
  });
  const { status, stderr } = await ended(train(base));
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(readFileSync(join(base, 'model/seen.json'), 'utf8')), SEEN);
});

test('TypeScript that does not compile is told by file and line', async () => {
  const base = await baseWithPackage('train.ts', { 'train.ts': "import { size } from './missing';\nlet = 3 3;\n" });
  const { status, stderr } = await ended(train(base));
  assert.equal(status, 1);
  assert.match(stderr, /train\.ts does not compile:\ntrain\.ts:2: /);
});

test('a program that the package lacks is told', async () => {
  const base = await baseWithPackage('train.ts', { 'other.ts': '' });
  const { status, stderr } = await ended(train(base));
  assert.equal(status, 1);
  assert.match(stderr, /the package of the job has no train\.ts/);
});

const IN_S3 = 's3://bucket/jobs/sourcedir.tar.gz';

/** A job that names a package in moto's S3, where there is one with these files, or none. @returns its folder and environment */
async function jobInS3(context: TestContext, files?: Readonly<Record<string, string>>) {
  const url = await startMoto(context);
  const base = await baseWithPackage('train.js', files ?? { 'other.js': '' });
  const environment = { ...MOTO_CREDENTIALS, AWS_ENDPOINT_URL_S3: url };
  const client = new S3Client({
    ...{ endpoint: url, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  await client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  const Body = readFileSync(join(base, 'input/data/code/sourcedir.tar.gz'));
  if (files) await client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'jobs/sourcedir.tar.gz', Body }));
  client.destroy();
  rmSync(join(base, 'input/data/code'), { recursive: true });
  const hyperparameters = { sagemaker_program: 'train.js', sagemaker_submit_directory: IN_S3 };
  writeFileSync(join(base, 'input/config/hyperparameters.json'), JSON.stringify(hyperparameters));
  return { base, environment };
}

test('a package in S3 is fetched, as the toolkit fetches it', { skip: skipMoto }, async (t) => {
  const { base, environment } = await jobInS3(t, { 'train.js': "console.log('fetched');\n" });
  const { status, stdout, stderr } = await ended(train(base, environment));
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'fetched\n');
  assert.equal(existsSync(join(base, 'code/sourcedir.tar.gz')), false);
});

test('a package that S3 does not give is told, with what a job needs for it', { skip: skipMoto }, async (t) => {
  const { base, environment } = await jobInS3(t);
  const { status } = await ended(train(base, environment));
  assert.equal(status, 1);
  assert.match(
    readFileSync(join(base, 'output/failure'), 'utf8'),
    /package s3:\/\/bucket\/jobs\/sourcedir\.tar\.gz cannot be fetched: NoSuchKey[\s\S]*s3:GetObject/,
  );
});

for (const [what, hyperparameters, problem] of [
  [
    'a Python program',
    { sagemaker_program: '"train.py"' },
    /sagemaker_program is "train.py"; this image runs TypeScript and JavaScript/,
  ],
  ['a job without a program', {}, /the job brings no program/],
  [
    'a package that is not there',
    { sagemaker_program: '"train.js"', sagemaker_submit_directory: '"/opt/ml/code.tar.gz"' },
    /sagemaker_submit_directory is "\/opt\/ml\/code\.tar\.gz", which is no file here/,
  ],
] as const) {
  test(`${what} is refused by name`, async () => {
    const base = temporaryFolder();
    mkdirSync(join(base, 'input/config'), { recursive: true });
    writeFileSync(join(base, 'input/config/hyperparameters.json'), JSON.stringify(hyperparameters));
    const { status, stderr } = await ended(train(base));
    assert.equal(status, 1);
    assert.match(stderr, problem);
  });
}
