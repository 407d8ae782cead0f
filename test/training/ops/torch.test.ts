// Operations and their gradients against PyTorch's and MONAI's, with Scanline's own kernels and without.
// The fixture is what test/oracle/training/op_fixtures.py writes.
import { join } from 'node:path';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Values } from '../../../training/compiler/runtime';
import { readSafetensors } from '../../../training/engine/weights/safetensors';
import { packageRoot } from '../../../training/native/cache';
import { tf } from '../../../training/native/tensorflow';
import { prelu } from '../../../training/ops/activation';
import { avgPool, convolve, globalAveragePool, maxPool, transposedConvolve } from '../../../training/ops/convolution';
import { groupNorm } from '../../../training/ops/group-normalization';
import { padReflect } from '../../../training/ops/layout';
import { batchNorm } from '../../../training/ops/normalization';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { blur, pixelShuffle, resizeLinear } from '../../../training/ops/resize';
import { assertAlike, evaluate } from './gradients';

type Op = (...inputs: Tensor[]) => Tensor;
type Window = Parameters<typeof convolve>[2];

const convolution =
  (window?: Window): Op =>
  (x, weight) =>
    convolve(x as Tensor, weight as Tensor, window);

const transposed =
  (window: Parameters<typeof transposedConvolve>[2]): Op =>
  (x, weight) =>
    transposedConvolve(x as Tensor, weight as Tensor, window);

const group =
  (groups: number): Op =>
  (x, scale, offset) =>
    groupNorm(x as Tensor, scale as Tensor, offset as Tensor, { groups });

const resized =
  (sizes: readonly number[], alignCorners?: boolean): Op =>
  (x) =>
    resizeLinear(x as Tensor, sizes, alignCorners);

const one = (op: (x: Tensor) => Tensor): Op => op as Op;

const OPS: Readonly<Record<string, Op>> = {
  'convolution 2D, stride 2': convolution({ stride: 2, padding: 1 }),
  'convolution 2D, dilated': convolution({ dilation: [2, 1], padding: [2, 1] }),
  'convolution 3D': convolution({ padding: 1 }),
  'convolution 3D, stride 2': convolution({ stride: 2, padding: 1 }),
  'convolution 3D, stride of each axis': convolution({ stride: [1, 2, 2], padding: [0, 1, 1] }),
  'convolution 3D, dilated': convolution({ dilation: 2, padding: 2 }),
  'convolution 3D, patches': convolution({ stride: 2 }),
  'convolution 3D, pointwise': convolution(),
  'transposed 2D, kernel 2': transposed({ stride: 2 }),
  'transposed 2D, kernel 3': transposed({ stride: 2, padding: 1, outputPadding: 1 }),
  'transposed 3D, kernel 2': transposed({ stride: 2 }),
  'transposed 3D, kernel 3': transposed({ stride: 2, padding: 1, outputPadding: 1 }),
  'transposed 3D, output padding': transposed({ stride: 3, outputPadding: 1 }),
  'transposed 3D, stride 1': transposed({ padding: 1 }),
  'group norm 3D': group(3),
  'group norm 2D': group(2),
  'instance norm 3D': one((x) => groupNorm(x, tf.ones([5]), tf.zeros([5]), { groups: 5 })),
  'batch norm 3D': (x, scale, offset) =>
    batchNorm(
      x as Tensor,
      { scale: scale as Tensor, offset: offset as Tensor },
      { mean: tf.zeros([5]), variance: tf.ones([5]) },
      { update: () => {} },
    ),
  prelu: (x, slope) => prelu(x as Tensor, slope as Tensor),
  'leaky relu': one((x) => prelu(x, 0.01)),
  'max pool 3D': one((x) => maxPool(x, 3, { stride: 2, padding: 1 })),
  'average pool 3D': one((x) => avgPool(x, 2)),
  'global average pool 3D': one(globalAveragePool),
  'resize 2D': resized([8, 7]),
  'resize 2D, corners aligned': resized([8, 7], true),
  'resize 3D': resized([4, 6, 2]),
  'resize 3D, corners aligned': resized([4, 6, 8], true),
  'resize 3D, smaller': resized([3, 2, 2]),
  'pixel shuffle 2D': one((x) => pixelShuffle(x, 2)),
  'pixel shuffle 3D': one((x) => pixelShuffle(x, 2)),
  'blur 3D': one((x) => blur(x, 2)),
  'reflect 3D': one((x) =>
    padReflect(x, [
      [0, 0],
      [2, 0],
      [0, 1],
      [1, 2],
      [0, 0],
    ]),
  ),
};

const kernels: Readonly<Record<string, <Result>(body: () => Result) => Result>> = {
  'own kernels': (body) => body(),
  "TensorFlow's ops": withTensorflowOpsOnly,
};

for (const [name, op] of Object.entries(OPS)) {
  for (const [kernelName, using] of Object.entries(kernels)) {
    test(`${name} is PyTorch's, with its gradients (${kernelName})`, async () => {
      const fixture = await readSafetensors(join(packageRoot, 'test', 'fixtures', 'ops.safetensors'));
      const values = (key: string) => fixture.get(`${name}/${key}`) as Values;
      const tensor = (key: string) => tf.tensor(values(key).data as Float32Array, [...values(key).shape]);
      const count = [...fixture.keys()].filter((key) => key.startsWith(`${name}/input`)).length;
      const each = Array.from({ length: count }, (_, index) => index);
      const inputs = each.map((index) => tensor(`input${index}`));
      const actual = using(() => evaluate(op, inputs, tensor('dy')));
      const expected = [values('value'), ...each.map((index) => values(`gradient${index}`))];
      assertAlike(
        actual,
        expected.map(({ data }) => data as Float32Array),
        1e-5,
      );
    });
  }
}
