// Batch and layer normalisation with Scanline's own kernels against the same of TensorFlow's ops, and by themselves.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { batchNorm, layerNorm } from '../../../training/ops/normalization';
import { float, float32, int, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, assertGradientsAreSlopes, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** A list of tensors with these channels, [...size, C] each, no two with the same mean or scale. */
const listOf = (size: readonly number[], channels: readonly number[]) =>
  channels.map((count, i) => normal([...size, count], i + 1, i - 1, i + 0.5));

const affineOf = (channels: number) => [normal([channels], 11, 1, 0.5), normal([channels], 12)] as const;

const runningOf = (channels: number) => ({ mean: normal([channels], 13), variance: normal([channels], 14).square() });

/** Value, gradients of scale, offset and the list, new mean and new variance. */
function trained(list: readonly Tensor[], relu: boolean, dy: Tensor): Float32Array[] {
  const channels = dy.shape.at(-1) as number;
  let statistics: Float32Array[] = [];
  const normalize = (scale: Tensor, offset: Tensor, ...x: Tensor[]) =>
    batchNorm(x, { scale, offset }, runningOf(channels), {
      relu,
      update: ({ mean, variance }) => {
        statistics = [mean.dataSync() as Float32Array, variance.dataSync() as Float32Array];
      },
    });
  return [...evaluate(normalize, [...affineOf(channels), ...list], dy), ...statistics];
}

/** A gradient that is zero wherever rounding could decide whether the ReLU lets a value through. */
function gradientFor(list: readonly Tensor[], size: readonly number[], channels: number): Tensor {
  const dy = normal([...size, channels], 21);
  const [y] = withTensorflowOpsOnly(() => trained(list, false, dy));
  return dy.mul(
    tf
      .tensor(y as Float32Array, dy.shape)
      .abs()
      .greater(1e-3),
  );
}

for (const channels of [[40], [32, 32], [1, 3, 17, 33], [17, 1, 15, 33]]) {
  // the first are more values than one block, in rows that are no whole number of blocks or tiles
  // of so few as six, the unbiased variance is quite another; of one it is zero, and rounding is multiplied by 1 / sqrt(epsilon)
  for (const { size, share } of [
    { size: [3, 25, 29], share: 2e-5 },
    { size: [1, 2, 3], share: 2e-5 },
    { size: [1, 1, 1], share: 1e-3 },
  ]) {
    for (const relu of [false, true]) {
      const what = `batchNorm of [${size}] pixels with [${channels}] channels, ${relu ? 'with' : 'without'} a ReLU`;
      test(`${what}, is what TensorFlow's ops give`, () => {
        const list = listOf(size, channels);
        const dy = gradientFor(list, size, sum(channels));
        const expected = withTensorflowOpsOnly(() => trained(list, relu, dy));
        assertAlike(trained(list, relu, dy), expected, share);
      });
    }
  }
}

for (const channels of [[40], [1, 3, 17, 33]]) {
  for (const relu of [false, true]) {
    test(`batchNorm by the running statistics, of [${channels}] channels, ${relu ? 'with' : 'without'} a ReLU, is what TensorFlow's ops give`, () => {
      const size = [3, 25, 29];
      const dy = normal([...size, sum(channels)], 22);
      const known = (scale: Tensor, offset: Tensor, ...x: Tensor[]) =>
        batchNorm(x, { scale, offset }, runningOf(sum(channels)), { relu });
      const inputs: [Tensor, Tensor, ...Tensor[]] = [...affineOf(sum(channels)), ...listOf(size, channels)];
      const expected = withTensorflowOpsOnly(() => evaluate(known, inputs, dy));
      assertAlike(evaluate(known, inputs, dy), expected, 2e-5);
    });
  }
}

test("batchNorm's gradients are the slopes of its value", () => {
  const update = () => {};
  assertGradientsAreSlopes(
    (scale, offset, ...x) => batchNorm(x, { scale, offset }, runningOf(4), { update }),
    [...affineOf(4), ...[1, 3].map((count, i) => normal([2, 2, 2, count], 31 + i))],
  );
});

/** Mean and biased variance in double precision. */
function momentsOf(values: readonly number[]): [mean: number, variance: number] {
  const mean = sum(values) / values.length;
  return [mean, sum(values.map((value) => (value - mean) ** 2)) / values.length];
}

const moments = (x: Tensor) => ops('ScanlineMoments', [x], { T: float32 }, 2).map((tensor) => tensor.dataSync());

for (const [what, outlier, mean] of [
  ['a first pixel 1,000 deviations away', 1000, 0],
  ['a mean 1,000 deviations from zero', 1000, 1000],
] as const) {
  test(`the moments are exact with ${what}`, () => {
    const [rows, columns] = [4000, 5];
    const data = normal([rows, columns], 41, mean).dataSync();
    data.fill(outlier, 0, columns);
    const column = (c: number) => Array.from({ length: rows }, (_, row) => data[row * columns + c] as number);
    const expected = Array.from({ length: columns }, (_, c) => momentsOf(column(c)));
    const [means, variances] = moments(tf.tensor2d(data, [rows, columns]));
    for (const [c, [mean, variance]] of expected.entries()) {
      const [difference, ratio] = [(means?.[c] as number) - mean, (variances?.[c] as number) / variance];
      assert.ok(Math.abs(difference) < 1e-6 * Math.max(1, Math.abs(mean)), `mean ${c} is off by ${difference}`);
      assert.ok(Math.abs(ratio - 1) < 1e-5, `variance ${c} is ${ratio} of the exact one`);
    }
  });
}

test('a channel with a NaN has moments that are NaN, and no other has', () => {
  const data = normal([600, 3], 51).dataSync();
  data[500 * 3 + 1] = Number.NaN;
  for (const values of moments(tf.tensor2d(data, [600, 3]))) {
    assert.deepEqual(Array.from(values, Number.isNaN), [false, true, false]);
  }
});

test('what is computed does not depend on the number of threads', () => {
  const digest = (threads: number) => {
    const { stdout, stderr } = spawnSync(process.execPath, [join(__dirname, 'thread-digest.js'), `${threads}`], {
      encoding: 'utf8',
    });
    assert.match(stdout, /^[0-9a-f]{64}$/, stderr);
    return stdout;
  };
  assert.equal(digest(1), digest(3));
});

test('layerNorm is what TensorFlow gives, with its gradients', () => {
  // 261 rows are more than four blocks, 43 columns no whole number of vectors
  const inputs: [Tensor, Tensor, Tensor] = [normal([3, 87, 43], 61, 2, 3), ...affineOf(43)];
  const dy = normal([3, 87, 43], 62);
  const op = (x: Tensor, scale: Tensor, offset: Tensor) => layerNorm(x, scale, offset);
  const expected = withTensorflowOpsOnly(() => evaluate(op, inputs, dy));
  assertAlike(evaluate(op, inputs, dy), expected, 1e-5);
});

test("layerNorm's gradients are the slopes of its value", () => {
  const op = (x: Tensor, scale: Tensor, offset: Tensor) => layerNorm(x, scale, offset);
  assertGradientsAreSlopes(op, [normal([3, 5], 63), ...affineOf(5)]);
});

test('normalisation in bfloat16 is that in float32, rounded', async () => {
  const list = listOf([3, 25, 29], [1, 3, 17, 33]);
  const channels = 54;
  const batch = list.map((x) => ops('ScanlineMoments', [x], { T: float32 }, 2) as [Tensor, Tensor]);
  const lists = [list.map(rounded), batch.map(([mean]) => mean), batch.map(([, variance]) => variance)];
  const [scale, offset] = affineOf(channels);
  const { mean, variance } = runningOf(channels);
  const dy = rounded(normal([3, 25, 29, channels], 71));
  for (const x of list) await assertSameInBfloat16('ScanlineMoments', [rounded(x)]);
  for (const relu of [false, true]) {
    const attributes = { epsilon: float(1e-5), relu };
    const inputs = [scale, offset, mean, variance, ...lists];
    await assertSameInBfloat16('ScanlineBatchNorm', inputs, { ...attributes, momentum: float(0.1) });
    await assertSameInBfloat16('ScanlineBatchNormGrad', [dy, scale, offset, ...lists], attributes);
  }

  const x = rounded(normal([261, 54], 72, 2, 3));
  await assertSameInBfloat16('ScanlineLayerNorm', [x, scale, offset], { epsilon: float(1e-5) });
  const saved = [normal([261], 73), normal([261], 74, 1, 0.1)];
  await assertSameInBfloat16('ScanlineLayerNormGrad', [rounded(normal([261, 54], 75)), x, scale, ...saved]);
});

function refuses(name: string, attributes: Parameters<typeof ops>[2], inputs: Tensor[], message: RegExp): void {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    assert.throws(() => ops(name, inputs, { T: float32, ...attributes }, 3), message);
  });
}

// [2, 3] pixels with 4 channels, and what goes with them; each with one input that does not
const x = tf.ones([1, 2, 3, 4]);
const smaller = tf.ones([1, 2, 2, 4]);
const [four, six, three] = [tf.ones([4]), tf.ones([6]), tf.ones([3])];
const grad = { N: int(1), epsilon: float(1e-5), relu: false };
const norm = { ...grad, momentum: float(0.1) };
refuses('ScanlineBatchNorm', norm, [three, four, four, four, x, four, four], /scale has 3 values; .* 4 channels/);
refuses('ScanlineBatchNorm', norm, [four, three, four, four, x, four, four], /offset has 3 values/);
refuses('ScanlineBatchNorm', norm, [four, four, three, four, x, four, four], /running_mean has 3 values/);
refuses('ScanlineBatchNorm', norm, [four, four, four, three, x, four, four], /running_variance has 3 values/);
refuses('ScanlineBatchNorm', norm, [four, four, four, four, x, three, four], /\bmean has 3 values/);
refuses('ScanlineBatchNorm', norm, [four, four, four, four, x, four, three], /\bvariance has 3 values/);
const eight = tf.ones([8]);
const differing = [eight, eight, eight, eight, x, smaller, four, four, four, four];
refuses('ScanlineBatchNorm', { ...norm, N: int(2) }, differing, /x has 4 x 4 values; it takes 6 x 4/);
refuses('ScanlineBatchNormGrad', grad, [x, three, four, x, four, four], /scale has 3 values/);
refuses('ScanlineBatchNormGrad', grad, [x, four, three, x, four, four], /offset has 3 values/);
refuses('ScanlineBatchNormGrad', grad, [smaller, four, four, x, four, four], /dy has 4 x 4 values; it takes 6 x 4/);
refuses('ScanlineLayerNorm', { epsilon: float(1e-5) }, [x, three, four], /scale has 3 values; .* 4 columns/);
refuses('ScanlineLayerNorm', { epsilon: float(1e-5) }, [x, four, three], /offset has 3 values/);
refuses('ScanlineLayerNormGrad', {}, [smaller, x, four, six, six], /dy has 4 x 4 values; it takes 6 x 4/);
refuses('ScanlineLayerNormGrad', {}, [x, x, three, six, six], /scale has 3 values/);
refuses('ScanlineLayerNormGrad', {}, [x, x, four, three, six], /mean has 3 values; .* 6 rows/);
refuses('ScanlineLayerNormGrad', {}, [x, x, four, six, three], /inverse has 3 values/);
