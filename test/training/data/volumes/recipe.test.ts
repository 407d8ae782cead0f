// The hyperparameters of volumes: which transforms they make, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedModalities, augmentTransforms, prepareTransforms } from '../../../../training/data/volumes/recipe';
import { applyTransforms } from '../../../../training/data/volumes/transforms';
import { IDENTITY } from '../../../../training/data/volumes/volume';
import { type Hyperparameters, resolveHyperparameters } from '../../../../training/hyperparameters';

/** As from a command line; networks of volumes are chosen elsewhere. */
function given(values: Readonly<Record<string, unknown>>): { h: Hyperparameters; defects: string[] } {
  const { values: h, defects } = resolveHyperparameters(
    new Map(Object.entries(values).map(([name, value]) => [name, { value, from: 'test' }])),
  );
  return { h, defects: defects.filter((defect) => !/is not a hyperparameter of/.test(defect)) };
}

const names = (specs: readonly { name: string }[]) => specs.map(({ name }) => name);

test('by default volumes are turned to RAS and normalised, crops of 96^3 flipped', () => {
  const { h, defects } = given({});
  assert.deepEqual(defects, []);
  assert.deepEqual(prepareTransforms(h), [
    { name: 'Orientation', axcodes: 'RAS' },
    { name: 'NormalizeIntensity', nonzero: true, channelWise: true },
  ]);
  const specs = augmentTransforms(h);
  assert.deepEqual(specs.slice(0, 2), [
    { name: 'SpatialPad', spatialSize: [96, 96, 96] },
    { name: 'RandCropByPosNegLabel', spatialSize: [96, 96, 96], pos: 1, neg: 1, numSamples: 1 },
  ]);
  assert.deepEqual(
    specs
      .filter((spec) => 'prob' in spec && spec.prob > 0)
      .map((spec) => [spec.name, 'spatialAxis' in spec && spec.spatialAxis]),
    [0, 1, 2].map((axis) => ['RandFlip', axis]),
  );
});

test('the foreground is cut before a z-score moves it, and after a range makes it', () => {
  const crop = { crop_foreground: true, spacing: '1.5,1.5,2', orientation: 'LPS' };
  assert.deepEqual(names(prepareTransforms(given(crop).h)), [
    'Orientation',
    'Spacing',
    'CropForeground',
    'NormalizeIntensity',
  ]);
  const ct = prepareTransforms(given({ ...crop, intensity_scaling: 'range', a_min: -57, a_max: '164' }).h);
  assert.deepEqual(names(ct), ['Orientation', 'Spacing', 'ScaleIntensityRange', 'CropForeground']);
  assert.deepEqual(ct[1], { name: 'Spacing', pixdim: [1.5, 1.5, 2] });
  assert.deepEqual(ct[2], { name: 'ScaleIntensityRange', aMin: -57, aMax: 164, bMin: 0, bMax: 1, clip: true });
  assert.deepEqual(names(prepareTransforms(given({ intensity_scaling: 'none', orientation: 'none' }).h)), []);
});

test('one probability does not change what the other transforms draw', () => {
  const sample = {
    shape: [8, 8, 8] as const,
    channels: 1,
    affine: IDENTITY,
    image: new Float32Array(512),
    label: new Uint8Array(512).fill(1),
  };
  const noise = (values: Record<string, unknown>) =>
    applyTransforms(
      sample,
      augmentTransforms(given({ roi_size: '8,8,8', noise_prob: 1, flip_prob: 0, ...values }).h),
      5,
    )[0]?.image;
  assert.deepEqual(noise({ affine_prob: 0 }), noise({ affine_prob: 1, rotate_range: 0, scale_range: 0 }));
});

test('wrong values are told with what is allowed', () => {
  for (const [name, value, allowed] of [
    ['orientation', 'RAX', /none, or an orientation as RAS or LPS/],
    ['orientation', 'RLS', /none, or an orientation/],
    ['spacing', '1,1', /3 numbers from 0 to 100/],
    ['roi_size', '96,96,96,96', /1 to 3 whole numbers from 1 to 1024/],
    ['modalities', 't1,,t2', /all, or names separated by commas/],
    ['gamma_range', '0.7', /2 numbers from 0.01 to 10/],
  ] as const) {
    const { defects } = given({ [name]: value });
    assert.equal(defects.length, 1, name);
    assert.match(defects[0] as string, allowed);
  }
  assert.deepEqual(askedModalities(given({ modalities: 't2,flair' }).h), ['t2', 'flair']);
  assert.equal(askedModalities(given({}).h), undefined);
});
