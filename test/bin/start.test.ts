// What `npm start` runs, on fewer images and a smaller network: everything is real, from the set-up to predictions.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolveTemplate } from '../../lib/local';
import { synthesize } from '../../lib/operations/assembly';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

const IMAGES_PER_CLASS = 12;

/** A CDK app, as somebody's own would be, and a few images of each class. */
function project(): string {
  const folder = temporaryFolder();
  const source = join(packageRoot, 'examples', 'mni-planes', 'images');
  for (const name of readdirSync(source)) {
    const files = readdirSync(join(source, name)).sort();
    const every = Math.floor(files.length / IMAGES_PER_CLASS);
    for (let i = 0; i < IMAGES_PER_CLASS; i++) {
      const file = files[i * every] as string;
      // two slices to a patient, who is a folder
      const patient = join(folder, 'images', name, `patient${i >> 1}`);
      mkdirSync(patient, { recursive: true });
      copyFileSync(join(source, name, file), join(patient, file));
    }
  }
  writeFileSync(
    join(folder, 'app.js'),
    `const { App } = require(${JSON.stringify(join(packageRoot, 'node_modules', 'aws-cdk-lib'))});
     const { TrainingStack } = require(${JSON.stringify(join(packageRoot, 'dist', 'lib'))});
     new TrainingStack(new App(), 'Reduced', {
       pipelineName: 'reduced',
       groupBy: 'folder',
       fractions: [0.5, 0.2, 0.3],
       hyperparameters: {
         img_size: [32], batch_size: 6, num_epochs: 3,
         init_features: 8, growth_rate: 4, bn_size: 1, block_config: [1, 1],
       },
     });`,
  );
  return folder;
}

function start(folder: string, ...args: string[]) {
  const places = ['--data', 'images', '--state', '.scanline', '--out', 'report.html'].map((text) =>
    text.startsWith('--') ? text : join(folder, text),
  );
  const command = ['start', '--app', `node ${join(folder, 'app.js')}`, ...places, ...args];
  const child = spawn(process.execPath, [join(packageRoot, 'bin', 'bootstrap.js'), ...command], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  return { child, output };
}

async function run(folder: string, ...args: string[]) {
  const { child, output } = start(folder, ...args);
  const [status] = await once(child as ChildProcess, 'close');
  return { status, ...output };
}

/** The processes that work in a folder, are given it, or are called by it. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [command, environment] = ['cmdline', 'environ'].map((file) =>
          readFileSync(`/proc/${pid}/${file}`, 'utf8'),
        );
        const about = [command, environment, readlinkSync(`/proc/${pid}/cwd`)];
        return about.some((text) => text?.includes(folder)) ? [`${pid}: ${command?.replaceAll('\0', ' ')}`] : [];
      } catch {
        // it has ended
        return [];
      }
    });
}

interface StoredExecution {
  readonly value: {
    readonly description: { readonly PipelineExecutionStatus: string };
    readonly steps: readonly { readonly StepName: string; readonly StepStatus: string }[];
  };
}

const readStored = (folder: string, kind: string) => {
  const place = join(folder, '.scanline', kind);
  const files = readdirSync(place).filter((name) => name.endsWith('.json'));
  return files.map((name) => JSON.parse(readFileSync(join(place, name), 'utf8')));
};

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

test('it trains, passes the gate, deploys, predicts, and leaves a report and no process', async () => {
  const folder = project();
  const { status, stdout, stderr } = await run(folder, '--parameter', 'LeastAccuracy=0');
  assert.equal(status, 0, `${stdout}${stderr}`);

  const accuracy = /^accuracy=(\d\.\d+);/m.exec(stdout)?.[1];
  assert.ok(accuracy !== undefined && Number(accuracy) >= 0 && Number(accuracy) <= 1, stdout);
  const predictions = stdout
    .split('\n')
    .filter((line) => /^ +\S+\.png +(axial|coronal|sagittal) +(axial|coronal|sagittal) +\d+\.\d% +(✓|✗)$/.test(line));
  assert.ok(predictions.length >= 9, stdout);
  for (const line of predictions) {
    const [, actual, label, predicted, mark] = /^ +([a-z]+)_\S+ +(\w+) +(\w+) .*(✓|✗)/.exec(line) ?? [];
    assert.equal(label, actual, line);
    assert.equal(mark, predicted === actual ? '✓' : '✗', line);
  }

  const [{ value: execution }] = readStored(folder, 'pipeline-executions') as [StoredExecution];
  assert.equal(execution.description.PipelineExecutionStatus, 'Succeeded');
  assert.deepEqual(execution.steps.map(({ StepName, StepStatus }) => `${StepName} ${StepStatus}`).sort(), [
    'CreateModel Succeeded',
    'Evaluate Succeeded',
    'Gate Succeeded',
    'Register Succeeded',
    'Split Succeeded',
    'Train Succeeded',
  ]);

  const html = readFileSync(join(folder, 'report.html'), 'utf8');
  assert.ok(html.includes(`<span class="number">${(Number(accuracy) * 100).toFixed(1)}%</span>`), accuracy);
  for (const text of ['Loss', 'Accuracy', 'Confusion matrix', 'Timings (s)'])
    assert.ok(html.includes(`>${text}<`), text);
  assert.match(html, /<title>Gate&#45;&gt;Register<\/title>/);
  assert.equal(html.match(/<figure /g)?.length, predictions.length);

  // what was synthesised is what was run
  const [pipeline] = synthesize({ folder, app: 'node app.js', output: join(folder, 'cdk.out') });
  const body = pipeline?.resource.Properties?.PipelineDefinition as { PipelineDefinitionBody: unknown };
  const synthesised = resolveTemplate(body.PipelineDefinitionBody, pipeline?.template as object) as string;
  const [stored] = readStored(folder, 'pipelines');
  assert.equal(sha256(stored.value.PipelineDefinition), sha256(synthesised));

  assert.deepEqual(processesOf(folder), []);
  assert.deepEqual(readStored(folder, 'endpoints'), []);
});

test('a misspelt parameter of the pipeline is refused with those that there are, without a stack trace', async () => {
  const folder = project();
  const { status, stderr } = await run(folder, '--parameter', 'LeastAcuracy=0.9');
  assert.notEqual(status, 0);
  assert.match(stderr, /no parameter LeastAcuracy; it has: .*LeastAccuracy[\s\S]*Fix:/);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('a model that does not pass the gate ends it with the message of the gate, and leaves no process', async () => {
  const folder = project();
  const { status, stdout, stderr } = await run(folder, '--parameter', 'LeastAccuracy=1.01');
  assert.notEqual(status, 0, stdout);
  assert.match(stderr, /the model's accuracy is [\d.]+, and at least 1\.01 is asked for/);
  assert.doesNotMatch(stderr, /\n {4}at /);
  assert.equal(existsSync(join(folder, 'report.html')), false);
  assert.deepEqual(readStored(folder, 'model-packages'), []);
  assert.deepEqual(processesOf(folder), []);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} ends it soon, stops the execution, and leaves no process`, async () => {
    const folder = project();
    const { child, output } = start(folder);
    const closed = once(child as ChildProcess, 'close');
    const jobs = join(folder, '.scanline', 'training-jobs');
    while (!existsSync(jobs) || readdirSync(jobs).length === 0) {
      assert.equal(child.exitCode, null, `${output.stdout}${output.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.notDeepEqual(processesOf(folder), []);
    child.kill(signal);
    const [status] = await closed;
    assert.equal(status, code, `${output.stdout}${output.stderr}`);
    const [{ value: execution }] = readStored(folder, 'pipeline-executions') as [StoredExecution];
    assert.equal(execution.description.PipelineExecutionStatus, 'Stopped');
    assert.deepEqual(processesOf(folder), []);
  });
}
