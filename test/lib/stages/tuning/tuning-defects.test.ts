// What of a tuning is refused at synth: each defect planted alone, and seen to be the one that is found.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  ByocImage,
  categorical,
  continuous,
  type Finding,
  integer,
  ParameterString,
  PipelineError,
  Tuning,
} from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

/** As JavaScript may give them, which knows no types. */
type Given = Readonly<Record<string, unknown>>;

function findingsOf({ training, ...props }: Given): readonly Finding[] {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test', { env: { region: 'us-east-1' } });
  const given = {
    ranges: { learning_rate: continuous(1e-4, 1e-2) },
    objective: 'valid_loss',
    ...props,
    training: {
      // Scanline's own is checked alike, and takes half a second to be packed
      image: ByocImage.scanlineFromUri(stack, 'Image', 'registry.test/scanline:1'),
      channels: { train: 's3://b/train' },
      output: 's3://b/out',
      role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r'),
      ...(training as object),
    },
  };
  try {
    new Tuning(stack, 'Tune', given as never);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where, fix } of error.findings) {
      assert.equal(where, 'step Tune at Test/Tune');
      assert.match(fix, /.\.$/);
    }
    return error.findings;
  }
  return [];
}

const problemsOf = (given: Given) => findingsOf(given).map(({ problem }) => problem.replace(/;.*/s, ''));

const many = (count: number, one: (index: number) => unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, one(index)]));

/** Ranges that Scanline's trainer does not know are let through for a script alone. */
function script(): Given {
  const sourceDir = temporaryFolder();
  writeFileSync(join(sourceDir, 'train.py'), 'print(1)\n');
  return {
    image: 'registry.test/mine:1',
    entryPoint: 'train.py',
    sourceDir,
    metricDefinitions: { valid_loss: 'loss=([0-9.]+)' },
  };
}

const grid = (counts: readonly number[]) =>
  Object.fromEntries(
    counts.map((count, index) => [`p${index}`, categorical(Array.from({ length: count }, (_, value) => value))]),
  );

const DEFECTS: readonly (readonly [string, Given])[] = [
  // ranges
  ['ranges is empty', { ranges: {} }],
  ['ranges is 31 of them', { ranges: many(31, () => continuous(0, 1)), training: script() }],
  ['ranges.learning_rate is from 0.1 to 0.01', { ranges: { learning_rate: continuous(0.1, 0.01) } }],
  ['ranges.dropout is from 0.5 to 0.5', { ranges: { dropout: continuous(0.5, 0.5) } }],
  ['ranges.a is from 0 to Infinity', { ranges: { a: continuous(0, Number.POSITIVE_INFINITY) }, training: script() }],
  ['ranges.a is from 1.5 to 3', { ranges: { a: integer(1.5, 3) }, training: script() }],
  [
    'ranges.dropout.scaling is Logarithmic from 0 to 0.5',
    { ranges: { dropout: continuous(0, 0.5, { scaling: 'Logarithmic' }) } },
  ],
  [
    'ranges.learning_rate.scaling is ReverseLogarithmic from 0.1 to 1',
    { ranges: { learning_rate: continuous(0.1, 1, { scaling: 'ReverseLogarithmic' }) } },
  ],
  [
    'ranges.batch_size.scaling is ReverseLogarithmic',
    { ranges: { batch_size: integer(1, 8, { scaling: 'ReverseLogarithmic' as never }) } },
  ],
  ['ranges.dropout.scaling is log', { ranges: { dropout: continuous(0.1, 0.5, { scaling: 'log' as never }) } }],
  ['ranges.optimizer is 0 values', { ranges: { optimizer: categorical([]) } }],
  ['ranges.p0 is 31 values', { ranges: grid([31]), training: script() }],
  ['ranges.optimizer is a list with adam twice', { ranges: { optimizer: categorical(['adam', 'sgd', 'adam']) } }],
  ['ranges.a is a value of 257 characters', { ranges: { a: categorical(['x'.repeat(257)]) }, training: script() }],
  [
    `ranges.${'x'.repeat(257)} is a name of 257 characters`,
    { ranges: { ['x'.repeat(257)]: continuous(0, 1) }, training: script() },
  ],
  [
    'ranges.learning_rate is also among the hyperparameters of training',
    { training: { hyperparameters: { learning_rate: 0.1 } } },
  ],
  // Scanline's trainer
  ['batch_size is 5000 (ranges.batch_size)', { ranges: { batch_size: integer(8, 5000) } }],
  ['learning_rate is -1 (ranges.learning_rate)', { ranges: { learning_rate: continuous(-1, 1) } }],
  ['optimizer is "lion" (ranges.optimizer)', { ranges: { optimizer: categorical(['adam', 'lion']) } }],
  ['learning_rat (ranges.learning_rat) is not a hyperparameter', { ranges: { learning_rat: continuous(0.1, 1) } }],
  [
    'hidden_size (ranges.hidden_size) is not a hyperparameter of densenet121, but of vit, vit_conv.',
    { ranges: { hidden_size: integer(96, 192) } },
  ],
  [
    'growth_rate (ranges.growth_rate) is not a hyperparameter of vit, but of densenet.',
    { ranges: { model_name: categorical(['densenet121', 'vit']), growth_rate: integer(8, 32) } },
  ],
  // strategies
  ["strategy is 'Genetic'", { strategy: 'Genetic' }],
  ["earlyStopping is 'On'", { earlyStopping: 'On' }],
  ['minResource is 1 with Bayesian', { minResource: 1 }],
  ['maxResource is 1 with Random', { strategy: 'Random', maxResource: 1 }],
  [
    'minResource is left out with Hyperband',
    { strategy: 'Hyperband', maxResource: 3, training: { hyperparameters: { num_epochs: 3 } } },
  ],
  ['maxResource is left out with Hyperband', { strategy: 'Hyperband', minResource: 1 }],
  ['minResource is 3', { strategy: 'Hyperband', minResource: 3, maxResource: 3 }],
  ['minResource is 0', { strategy: 'Hyperband', minResource: 0, maxResource: 3 }],
  [
    'maxResource is 20001',
    {
      strategy: 'Hyperband',
      minResource: 1,
      maxResource: 20_001,
      training: { hyperparameters: { num_epochs: 30_000 } },
    },
  ],
  ['maxResource is 9', { strategy: 'Hyperband', minResource: 1, maxResource: 9 }],
  [
    'earlyStopping is Auto with Hyperband',
    { strategy: 'Hyperband', minResource: 1, maxResource: 3, earlyStopping: 'Auto' },
  ],
  ['ranges.learning_rate is continuous with Grid', { strategy: 'Grid' }],
  ['maxJobs is 5', { strategy: 'Grid', ranges: { dropout: categorical([0, 0.1]) }, maxJobs: 5 }],
  ['ranges is a grid of 900 combinations', { strategy: 'Grid', ranges: grid([30, 30]), training: script() }],
  // limits
  ['maxJobs is 0', { maxJobs: 0 }],
  ['maxJobs is 751', { maxJobs: 751 }],
  ['maxJobs is 10001', { strategy: 'Random', maxJobs: 10_001 }],
  ['maxParallelJobs is 101', { maxJobs: 200, maxParallelJobs: 101 }],
  ['maxParallelJobs is 11', { maxParallelJobs: 11 }],
  ['maxTotalRuntime is 60 seconds', { maxTotalRuntime: Duration.minutes(1) }],
  ['maxTotalRuntime is 2678400 seconds', { maxTotalRuntime: Duration.days(31) }],
  ['maxJobsWithoutImprovement is 2', { maxJobsWithoutImprovement: 2 }],
  ['seed is -1', { seed: -1 }],
  ['targetObjective is NaN', { targetObjective: Number.NaN }],
  // the objective
  ["objective is 'dice'", { objective: 'dice' }],
  ["objective is 'valid_dice'", { objective: 'valid_dice' }],
  ["objective is 'test_accuracy'", { objective: 'test_accuracy' }],
  [
    "objective is 'valid_accuracy'",
    { objective: 'valid_accuracy', ranges: { model_name: categorical(['unet', 'segresnet']) } },
  ],
  ["objective is 'loss'", { objective: 'loss', training: { metricDefinitions: { dice: '(.)' } } }],
  ['objectiveType is left out', { objective: 'images_per_second' }],
  ["objectiveType is 'Max'", { objectiveType: 'Max' }],
  [
    'metricDefinitions is 21 of them',
    { objective: 'p0', objectiveType: 'Maximize', training: { metricDefinitions: many(21, () => '(.)') } },
  ],
  // warm start
  ['warmStartFrom is 0 of them', { warmStartFrom: [] }],
  ['warmStartFrom is 6 of them', { warmStartFrom: ['a', 'b', 'c', 'd', 'e', 'f'] }],
  ["warmStartFrom is 'a/b'", { warmStartFrom: ['a/b'] }],
  ["warmStartType is 'Warm'", { warmStartFrom: ['a'], warmStartType: 'Warm' }],
  ['warmStartType is TransferLearning without warmStartFrom', { warmStartType: 'TransferLearning' }],
  // instances
  ['fallbackInstanceTypes is 0 of them', { fallbackInstanceTypes: [] }],
  [
    'fallbackInstanceTypes is 6 of them',
    { fallbackInstanceTypes: ['2', '4', '8', '12', '24', '48'].map((size) => `ml.g5.${size}xlarge`) },
  ],
  ["fallbackInstanceTypes[0] is 'g5'", { fallbackInstanceTypes: ['g5'] }],
  ["fallbackInstanceTypes[0] is 'ml.g5.xlarge' again", { fallbackInstanceTypes: ['ml.g5.xlarge'] }],
  ["fallbackInstanceTypes[1] is 'ml.g6.xlarge' again", { fallbackInstanceTypes: ['ml.g6.xlarge', 'ml.g6.xlarge'] }],
  [
    'fallbackInstanceTypes is with and without local disks',
    {
      fallbackInstanceTypes: ['ml.m5.xlarge'],
      training: { volumeKey: Key.fromKeyArn(new Stack(), 'Key', 'arn:aws:kms:us-east-1:111122223333:key/k') },
    },
  ],
  // what the jobs of a tuning do not have
  ['training.keepAlive is given', { training: { keepAlive: Duration.minutes(5) } }],
  ['training.debugHook is given', { training: { debugHook: { S3OutputPath: 's3://b/d' } } }],
  ['training.profiler is given', { training: { profiler: {} } }],
  ['training.tensorBoardOutput is given', { training: { tensorBoardOutput: { S3OutputPath: 's3://b/t' } } }],
  // what a training stage refuses
  ['spot is true without a checkpoint', { training: { spot: true, checkpointUri: false } }],
  // the budget
  ['maxCost is 0', { maxCost: 0 }],
  ['pricePerHour is -1', { pricePerHour: -1, maxCost: 10 }],
  ['maxCost is $300.00', { maxCost: 300 }],
  [
    'pricePerHour is left out, with maxCost and ml.p9.48xlarge',
    { maxCost: 1, training: { instanceType: 'ml.p9.48xlarge' } },
  ],
  [
    'pricePerHour is left out, with maxCost and an instance type that is chosen at the start',
    { maxCost: 1, training: { instanceType: new ParameterString('Type') } },
  ],
];

for (const [problem, given] of DEFECTS) {
  test(`refused: ${problem.replace(/x{9,}/, 'x…')}`, () => {
    assert.deepEqual(problemsOf(given), [problem]);
  });
}

for (const [prop, given] of [
  ['batch_size', { batch_size: continuous(8, 64) }],
  ['num_epochs', { num_epochs: continuous(1, 3) }],
] as const) {
  test(`refused: a range of numbers that are not whole for ${prop}`, () => {
    assert.match(
      findingsOf({ ranges: given })
        .map(({ problem }) => problem)
        .join('\n'),
      /is continuous; allowed is what suits integer: integer/,
    );
  });
}

test('refused: a range of numbers for a hyperparameter of words', () => {
  const found = findingsOf({ ranges: { optimizer: integer(1, 2) } }).map(({ problem }) => problem);
  assert.ok(
    found.some((problem) => /ranges\.optimizer is integer; allowed is what suits enum: categorical/.test(problem)),
  );
});

test('hyperparameters of one network may be tuned with that network', () => {
  const training = { hyperparameters: { model_name: new ParameterString('Network', { defaultValue: 'vit' }) } };
  assert.deepEqual(problemsOf({ ranges: { hidden_size: integer(96, 192) }, training }), []);
});

test('ten jobs of a day at $1.408 an hour do not fit $300: what fits is told', () => {
  const [finding] = findingsOf({ maxCost: 300 });
  assert.match(
    String(finding?.problem),
    /at least \$337\.92: 240 hours in 10 jobs at \$1\.41 an hour in us-east-1, August 2026/,
  );
  // 300 / (24 h x 1.408) = 8.88 jobs; 300 / (10 x 1.408) h = 1278.4 minutes
  assert.match(String(finding?.fix), /set maxJobs to 8, or set maxRuntime of training to 1278 minutes, or set spot/);
});

for (const [what, given] of [
  ['the very bound', { maxCost: 337.93 }],
  ['fewer jobs', { maxCost: 300, maxJobs: 8 }],
  ['shorter jobs', { maxCost: 300, training: { maxRuntime: Duration.minutes(1278) } }],
  [
    'a shorter tuning: 2 at a time for 100 hours',
    { maxCost: 300, maxTotalRuntime: Duration.hours(100), maxParallelJobs: 2 },
  ],
  ['a lower price', { maxCost: 300, pricePerHour: 1 }],
  [
    'the default of a parameter',
    {
      maxCost: 300,
      maxJobs: 8,
      training: { instanceType: new ParameterString('T', { defaultValue: 'ml.g5.xlarge' }) },
    },
  ],
] as const) {
  test(`within the budget: ${what}`, () => {
    assert.deepEqual(problemsOf(given), []);
  });
}

for (const [what, given] of [
  ['the dearest of the instance types counts', { maxCost: 340, fallbackInstanceTypes: ['ml.g5.2xlarge'] }],
  [
    'the dearest type that may be chosen at the start counts',
    {
      maxCost: 340,
      training: {
        instanceType: new ParameterString('T', {
          defaultValue: 'ml.g5.xlarge',
          enumValues: ['ml.g5.xlarge', 'ml.g5.2xlarge'],
        }),
      },
    },
  ],
  ['several at a time count', { maxCost: 300, maxTotalRuntime: Duration.hours(200), maxParallelJobs: 2 }],
  ['all jobs of a grid count', { maxCost: 30, strategy: 'Grid', ranges: { dropout: categorical([0, 0.1, 0.2]) } }],
] as const) {
  test(`beyond the budget: ${what}`, () => {
    assert.deepEqual(problemsOf(given), [`maxCost is $${given.maxCost}.00`]);
  });
}

test('an image that is not ours is tuned by a metric that it declares, and by no other', () => {
  const image = ByocImage.fromUri(new Stack(), 'Image', 'registry.test/other:1');
  const metricDefinitions = { valid_loss: 'loss=([0-9.]+)' };
  const [finding, ...others] = findingsOf({ training: { image } });
  assert.match(finding?.problem as string, /objective is 'valid_loss'.*emit: there is none/);
  assert.match(finding?.fix as string, /name it in metricDefinitions of training, with its regular expression/);
  assert.deepEqual([others, problemsOf({ training: { image, metricDefinitions } })], [[], []]);
});

test('all that is wrong with a tuning and with its training is told at once', () => {
  const found = problemsOf({
    objective: 'dice',
    maxJobs: 0,
    training: { volumeSize: 0, hyperparameters: { num_epochs: -1 } },
  });
  assert.deepEqual(
    found.map((problem) => problem.replace(/ .*/, '')),
    ['num_epochs', 'maxJobs', 'objective', 'volumeSize'],
  );
});
