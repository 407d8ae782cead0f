// GPU memory: the estimate beside what was measured, and the warning where a network will not fit.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { ByocImage, ByocTraining, ParameterInteger, type TrainingHyperparameters } from '../../../../lib';
import { estimateGpuMemory, gpuMemoryOf, sampleOf } from '../../../../lib/stages/training/gpu-memory';
import { networkSize } from '../../../../lib/stages/training/network-size';
import { type Hyperparameters, resolveHyperparameters, SPECS } from '../../../../training/hyperparameters';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';

const MIB = 2 ** 20;

function resolved(given: Partial<Hyperparameters>): Hyperparameters {
  const entries = Object.entries(given).map(([name, value]) => [name, { value, from: 'test' }] as const);
  const { values, defects } = resolveHyperparameters(new Map(entries));
  assert.deepEqual(defects, []);
  return values;
}

function estimate(given: Partial<Hyperparameters>): number {
  return (estimateGpuMemory(resolved(given)) as number) / MIB;
}

interface Counted {
  readonly hyperparameters: Partial<Hyperparameters>;
  readonly parameters: number;
  /** Of one sample. */
  readonly activations: number;
}

// what autograd keeps of MONAI's networks, by test/oracle/training/activation_fixtures.py
const counted = JSON.parse(
  readFileSync(join(packageRoot, 'test', 'fixtures', 'activations', 'monai.json'), 'utf8'),
) as Counted[];

for (const { hyperparameters, parameters, activations } of counted) {
  const { model_name, spatial_dims, ...others } = hyperparameters;
  const what = `${model_name}${spatial_dims === 2 ? ' in 2D' : ''} with ${JSON.stringify(others)}`;
  const given = resolved({ ...hyperparameters, in_channels: '1' });
  const { sides } = sampleOf(given);

  test(`${what}: the activations are within a tenth of what autograd keeps`, () => {
    const ratio = (networkSize(given, sides, 1)?.activations as number) / activations;
    assert.ok(ratio > 0.9 && ratio < 1.1, `${ratio}`);
  });

  test(`${what}: the parameters are within a hundredth`, () => {
    const ratio = (networkSize(given, sides, 1)?.parameters as number) / parameters;
    assert.ok(ratio > 0.99 && ratio < 1.01, `${ratio}`);
  });
}

test('every network of the trainer is known', () => {
  const spec = SPECS.get('model_name');
  assert.ok(spec?.type === 'enum');
  for (const name of spec.values) assert.ok(estimate({ model_name: name as never }) > 0, name);
});

// peak memory of a compiled step on a CPU, from shared/facts.md: TensorFlow's own there too
for (const [given, measured] of [
  [{ model_name: 'densenet121', img_size: [256], batch_size: 8, in_channels: '1' }, 2240],
  [{ model_name: 'vit', img_size: [256], batch_size: 4, in_channels: '1' }, 3300],
  [{ model_name: 'segresnet', roi_size: [96], init_filters: 16, batch_size: 1, in_channels: '1' }, 1769],
] as const satisfies readonly (readonly [Partial<Hyperparameters>, number])[]) {
  test(`the estimate for ${given.model_name} is within a half of the ${measured} MB that a step took`, () => {
    const ratio = estimate(given) / measured;
    assert.ok(ratio > 2 / 3 && ratio < 1.5, `${ratio}`);
  });
}

test('more images, larger images and more precision take more', () => {
  const base = estimate({});
  assert.ok(estimate({ batch_size: 64 }) > 1.6 * base);
  assert.ok(estimate({ img_size: [448] }) > 3 * base);
  assert.ok(estimate({ precision: 'bf16' }) < base);
  assert.ok(estimate({ model_name: 'densenet264' }) > base);
});

test('an instance without a GPU, or of a family that is not known, has no GPU memory', () => {
  assert.deepEqual([gpuMemoryOf('ml.m5.xlarge'), gpuMemoryOf('ml.g99.xlarge')], [undefined, undefined]);
  assert.equal(gpuMemoryOf('ml.g5.xlarge'), 24 * 2 ** 30);
});

function warnings(hyperparameters: TrainingHyperparameters, instanceType = 'ml.g5.xlarge', own = true): string[] {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  new ByocTraining(stack, 'Train', {
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    image: own ? ByocImage.scanline(stack, 'Image') : ByocImage.fromUri(stack, 'Image', 'registry.test/a:1'),
    role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r'),
    hyperparameters,
    instanceType,
  });
  const found = Annotations.fromStack(stack).findWarning('/Test/Train', Match.stringLikeRegexp('GiB'));
  return found.map(({ entry }) => entry.data as string);
}

test('what will not fit is warned of, with the numbers and the ways out', () => {
  const [warning] = warnings({ batch_size: 512, img_size: [512] });
  assert.match(
    warning as string,
    /densenet121 on images of 512 x 512 in batches of 512 in fp32 takes about \d+ GiB; a GPU of ml\.g5\.xlarge has 24\..*batch_size/,
  );
});

test('a batch that is a parameter of the pipeline is known by its default', () => {
  const batch = (defaultValue: number) => new ParameterInteger('Batch', { defaultValue });
  assert.equal(warnings({ batch_size: batch(4096), img_size: [512] }).length, 1);
  assert.deepEqual(warnings({ batch_size: batch(2) }), []);
});

test('no warning: the defaults, an instance without a GPU, an image of another', () => {
  const large = { batch_size: 512, img_size: [512] };
  assert.deepEqual(warnings({}), []);
  assert.deepEqual(warnings(large, 'ml.m5.xlarge'), []);
  assert.deepEqual(warnings(large, 'ml.g5.xlarge', false), []);
});
