// Sliding-window inference against MONAI's, with a predictor that tells where in its window a voxel lies (test/oracle/training/metric_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Predict,
  type SlidingWindowOptions,
  slidingWindow,
  slidingWindowSlabs,
} from '../../../../training/engine/prediction/sliding-window';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

interface Case {
  readonly shape: number[];
  readonly channels: number;
  readonly roi: number[];
  readonly overlap: number;
  readonly mode: 'constant' | 'gaussian';
  readonly sigma_scale?: number;
  readonly batch: number;
  readonly values: number[];
}
const { cases } = readFixture<{ cases: Record<string, Case> }>('sliding_window.json');

const product = (lengths: readonly number[]) => lengths.reduce((total, length) => total * length, 1);

function imageOf({ shape, channels }: Pick<Case, 'shape' | 'channels'>): Float32Array {
  return Float32Array.from({ length: product(shape) * channels }, (_, i) => ((i * 7919) % 101) / 64 - 0.75);
}

/** As `predict` of the script. */
function predictor({ roi, channels }: Pick<Case, 'roi' | 'channels'>, seen: number[] = []): Predict {
  const size = product(roi);
  return async (windows, count) => {
    seen.push(count);
    const result = new Float32Array(count * size * 3);
    for (let i = 0; i < count * size; i++) {
      const values = windows.subarray(i * channels, (i + 1) * channels);
      const place = Math.fround((i % size) / size);
      const [first, last] = [values[0] as number, values[channels - 1] as number];
      const sum = values.reduce((total, value) => total + value, 0);
      result.set([sum * place, first ** 2 - place, last + 2 * place], i * 3);
    }
    return result;
  };
}

const optionsOf = ({ roi, overlap, mode, sigma_scale, batch }: Case): SlidingWindowOptions => ({
  ...{ roi, overlap, batch, blending: mode },
  ...(sigma_scale !== undefined && { sigmaScale: sigma_scale }),
});

for (const [name, given] of Object.entries(cases)) {
  test(`${name}: every voxel's predictions are MONAI's`, async () => {
    const { shape, channels } = given;
    const { values, classes } = await slidingWindow(
      imageOf(given),
      shape,
      channels,
      optionsOf(given),
      predictor(given),
    );
    assert.equal(classes, 3);
    assertClose(values, given.values, 1e-5, 'predictions');
  });
}

const gaussian = cases.gaussian as Case;

test('no batch has more windows than asked, and none but the last has fewer', async () => {
  const seen: number[] = [];
  const { shape, channels } = gaussian;
  await slidingWindow(
    imageOf(gaussian),
    shape,
    channels,
    { ...optionsOf(gaussian), batch: 7 },
    predictor(gaussian, seen),
  );
  assert.ok(seen.length > 2 && seen.slice(0, -1).every((count) => count === 7), `${seen}`);
});

test('slabs come in order, as soon as no window touches them, and none is deeper than a window', async () => {
  const { shape, channels, roi } = gaussian;
  const predict = predictor(gaussian);
  const slabs: [number, number][] = [];
  for await (const slab of slidingWindowSlabs(imageOf(gaussian), shape, channels, optionsOf(gaussian), predict))
    slabs.push([slab.start, slab.length]);
  assert.deepEqual(slabs, [
    [0, 2],
    [2, 2],
    [4, 2],
    [6, 4],
  ]);
  assert.ok(slabs.every(([, length]) => length <= (roi[0] as number)));
});

test('a window of other axes, an overlap of 1 and an image of another size are refused', async () => {
  const run = (options: Partial<SlidingWindowOptions>, image = imageOf(gaussian)) =>
    slidingWindow(image, gaussian.shape, 2, { ...optionsOf(gaussian), ...options }, predictor(gaussian));
  await assert.rejects(run({ roi: [4, 4] }), /the window has 2 axes \(\[4,4\]\), the image 3/);
  await assert.rejects(run({ overlap: 1 }), /the overlap is 1; allowed is 0 to below 1/);
  await assert.rejects(run({}, new Float32Array(5)), /has 1260 values, not 5/);
});
