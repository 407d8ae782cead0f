// Metrics of segmented volumes against MONAI's, empty masks among them (test/oracle/training/metric_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { squaredDistances } from '../../../../training/engine/metrics/distance-transform';
import { overlaps, SegmentationCounter, voxelConfusion } from '../../../../training/engine/metrics/segmentation';
import {
  averageSurfaceDistance,
  hausdorffDistance,
  surfaceDistances,
} from '../../../../training/engine/metrics/surface';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

type Known = (number | 'nan' | 'inf')[];
interface Case {
  readonly shape: number[];
  readonly spacing: number[];
  readonly classes: number;
  readonly predicted: string;
  readonly actual: string;
  readonly dice: Known;
  readonly iou: Known;
  readonly hausdorff95: Known;
  readonly surface: Known;
  readonly symmetric: Known;
}
interface Several extends Record<string, unknown> {
  readonly shape: number[];
  readonly volumes: { predicted: string; actual: string }[];
}
const { segmentation, several } = readFixture<{ segmentation: Record<string, Case>; several: Several }>('metrics.json');

const labelsOf = (digits: string) => Uint8Array.from(digits, Number);

/** Fails unless the numbers are the same to 1e-5, and what is no number is none of the same kind. */
function assertKnown(actual: readonly number[], expected: Known, what: string): void {
  const special = (value: number) =>
    Number.isNaN(value) ? 'nan' : value === Number.POSITIVE_INFINITY ? 'inf' : 'number';
  const kinds = expected.map((value) => (typeof value === 'string' ? value : 'number'));
  assert.deepEqual(actual.map(special), kinds, what);
  const finite = (values: readonly unknown[]) => values.map((value, i) => (kinds[i] === 'number' ? Number(value) : 0));
  assertClose(finite(actual), finite(expected), 1e-5, what);
}

for (const [name, { shape, spacing, classes, ...given }] of Object.entries(segmentation)) {
  const [predicted, actual] = [labelsOf(given.predicted), labelsOf(given.actual)];
  const labels = Array.from({ length: classes }, (_, k) => k);

  test(`${name}: Dice and IoU of each class are MONAI's`, () => {
    const found = overlaps(voxelConfusion(predicted, actual, classes));
    assertKnown(
      found.map(({ dice }) => dice),
      given.dice,
      'Dice',
    );
    assertKnown(
      found.map(({ iou }) => iou),
      given.iou,
      'IoU',
    );
  });

  test(`${name}: surface distances of each class are MONAI's`, () => {
    const found = labels.map((label) => surfaceDistances(predicted, actual, shape, label, spacing));
    assertKnown(
      found.map((distances) => hausdorffDistance(distances)),
      given.hausdorff95,
      'Hausdorff 95',
    );
    assertKnown(
      found.map((distances) => averageSurfaceDistance(distances, false)),
      given.surface,
      'average surface distance',
    );
    assertKnown(
      found.map((distances) => averageSurfaceDistance(distances)),
      given.symmetric,
      'average symmetric surface distance',
    );
  });
}

test('over several volumes, one of which lacks a class, the means are those of MONAI`s DiceMetric and MeanIoU', () => {
  const counter = new SegmentationCounter(['background', 'grey', 'white']);
  for (const { predicted, actual } of several.volumes)
    counter.add({ predicted: labelsOf(predicted), actual: labelsOf(actual), shape: several.shape });
  const { dice, iou, classes, count } = counter.result();
  assert.equal(count, 3);
  assertKnown([dice], several['dice mean'] as Known, 'mean Dice');
  assertKnown([iou], several['iou mean'] as Known, 'mean IoU');
  const foreground = classes.slice(1);
  assertKnown(
    foreground.map((metrics) => metrics.dice),
    several['dice mean_batch'] as Known,
    'Dice of the classes',
  );
  assertKnown(
    foreground.map((metrics) => metrics.iou),
    several['iou mean_batch'] as Known,
    'IoU of the classes',
  );
});

test('precision and recall are of voxels; ignored ones count in neither', () => {
  const counter = new SegmentationCounter(['background', 'organ'], { ignoreIndex: 9 });
  // organ: 2 of 3 found, 1 of 3 predictions wrong; the last two do not count
  counter.add({ predicted: [1, 1, 0, 1, 0, 1, 0], actual: [1, 1, 1, 0, 0, 9, 9], shape: [7] });
  const [, organ] = counter.result().classes;
  assertClose([organ?.precision ?? 0, organ?.recall ?? 0, organ?.dice ?? 0], [2 / 3, 2 / 3, 2 / 3], 1e-12, 'organ');
});

test('surface distances that do not exist are counted, and left out of the mean', () => {
  const counter = new SegmentationCounter(['background', 'organ'], { surfaces: true });
  counter.add({ predicted: [0, 1, 0, 0], actual: [0, 0, 0, 1], shape: [4], spacing: [1.5] });
  counter.add({ predicted: [0, 0, 0, 0], actual: [0, 0, 0, 1], shape: [4], spacing: [1.5] });
  const { surfaceDistance, hausdorff95, classes } = counter.result();
  assert.deepEqual([surfaceDistance, hausdorff95, classes[1]?.unmatched], [3, 3, 1]);
});

test('the distance transform is exact: it is the least of all distances, on a lattice of unequal spacing', () => {
  const [shape, spacing] = [
    [7, 9, 5],
    [1.3, 0.4, 2.7],
  ];
  const set = Uint8Array.from({ length: 315 }, (_, i) => ((i * 31) % 37 === 5 ? 1 : 0));
  const placeOf = (i: number) => [Math.floor(i / 45), Math.floor(i / 5) % 9, i % 5];
  const sites = Array.from(set.keys()).filter((i) => set[i]);
  assert.ok(sites.length > 1);
  const square = (a: number, b: number) =>
    placeOf(a).reduce(
      (sum, at, axis) => sum + ((at - (placeOf(b)[axis] as number)) * (spacing?.[axis] as number)) ** 2,
      0,
    );
  const least = Array.from(set.keys(), (i) => Math.min(...sites.map((site) => square(i, site))));
  assertClose(squaredDistances(set, shape as number[], spacing as number[]), least, 1e-12, 'squared distances');
});
