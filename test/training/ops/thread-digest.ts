// Prints a digest of what Scanline's own kernels compute with as many threads as the argument says; normalization.test.ts runs it.
import { createHash } from 'node:crypto';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { convolve } from '../../../training/ops/convolution';
import { denseBlock } from '../../../training/ops/dense-block';
import { groupNorm } from '../../../training/ops/group-normalization';
import { linear, selfAttention } from '../../../training/ops/linear';
import { batchNorm, layerNorm } from '../../../training/ops/normalization';
import { normalizedConv2d } from '../../../training/ops/normalized-convolution';
import { evaluate, normal } from './gradients';

native.setKernelThreads(Number(process.argv[2]));

const [scale, offset] = [normal([54], 1), normal([54], 2)];
const runningOf = (channels: number) => ({ mean: tf.zeros([channels]), variance: tf.ones([channels]) });
const hash = createHash('sha256');
const update = ({ mean, variance }: { mean: Tensor; variance: Tensor }) => {
  for (const tensor of [mean, variance]) hash.update(tensor.dataSync() as Float32Array);
};
const list = [normal([3, 40, 40, 21], 3), normal([3, 40, 40, 33], 4)];
const dy = normal([3, 40, 40, 54], 5);
const results = [
  ...evaluate((...x) => batchNorm(x, { scale, offset }, runningOf(54), { update, relu: true }), list, dy),
  ...evaluate(
    (x, weight) => convolve(x as Tensor, weight as Tensor, { padding: 1 }),
    [normal([3, 40, 40, 80], 7), normal([3, 3, 80, 16], 8)],
    normal([3, 40, 40, 16], 9),
  ),
  ...evaluate(
    (x: Tensor, weight: Tensor, scale: Tensor, offset: Tensor) =>
      normalizedConv2d(x, { scale, offset }, runningOf(48), weight, { update, padding: 1 }),
    [normal([3, 40, 40, 48], 10), normal([3, 3, 48, 16], 11), normal([48], 12), normal([48], 13)],
    normal([3, 40, 40, 16], 14),
  ),
  ...evaluate((x) => layerNorm(x as Tensor, scale, offset), [normal([3, 40, 40, 54], 6)], dy),
  ...evaluate(
    (x, slope) => groupNorm(x as Tensor, scale, offset, { groups: 6, slope: slope as Tensor }),
    [normal([3, 40, 40, 54], 15), tf.scalar(0.2)],
    dy,
  ),
];
const norm = (scale: Tensor | undefined, offset: Tensor | undefined, channels: number) => {
  return { affine: { scale: scale as Tensor, offset: offset as Tensor }, running: runningOf(channels), update };
};
const affine = (channels: number, seed: number) => [normal([channels], seed), normal([channels], seed + 1)];
results.push(
  ...evaluate(
    (...[x, scale1, offset1, weight1, scale2, offset2, weight2, scale, offset]: Tensor[]) => {
      const weights = { weight1: weight1 as Tensor, weight2: weight2 as Tensor };
      const layer = { norm1: norm(scale1, offset1, 304), norm2: norm(scale2, offset2, 32), ...weights };
      return denseBlock(x as Tensor, [layer], norm(scale, offset, 320));
    },
    [
      ...[normal([2, 21, 23, 304], 16), ...affine(304, 17), normal([1, 1, 304, 32], 19)],
      ...[...affine(32, 20), normal([3, 3, 32, 16], 22), ...affine(320, 23)],
    ],
    normal([2, 21, 23, 320], 25),
  ),
);
for (const [rows, inputs, outputs] of [
  [700, 40, 70],
  [50, 300, 500],
  [650, 660, 670],
] as const) {
  results.push(
    ...evaluate(
      (x, weight, bias) => linear(x as Tensor, weight as Tensor, bias as Tensor, { gelu: true, training: true }),
      [normal([rows, inputs], 26), normal([outputs, inputs], 27), normal([outputs], 28)],
      normal([rows, outputs], 29),
    ),
  );
}
results.push(
  ...evaluate((x) => selfAttention(x as Tensor, 3), [normal([2, 70, 3 * 3 * 20], 30)], normal([2, 70, 60], 31)),
);
for (const values of results) hash.update(values);
process.stdout.write(hash.digest('hex'));
