// Transforms: those that draw nothing make what MONAI makes; those that draw are decided by their keys alone, and stay in their ranges.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomSource } from '../../../../training/data/random';
import { applyTransforms, type TransformSpec } from '../../../../training/data/volumes/transforms';
import { cropStart } from '../../../../training/data/volumes/transforms/crop';
import { biasField } from '../../../../training/data/volumes/transforms/intensity';
import { labelsOnGrid, nearest } from '../../../../training/data/volumes/transforms/resample';
import { elastic } from '../../../../training/data/volumes/transforms/spatial';
import type { Affine, Sample, Shape } from '../../../../training/data/volumes/volume';
import { axisCodes, IDENTITY, sameGrid, spacingOf, voxels } from '../../../../training/data/volumes/volume';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

interface Case {
  readonly spec: { readonly name: string } & Readonly<Record<string, unknown>>;
  readonly shape: Shape;
  readonly affine: Affine;
  readonly image: readonly number[];
  readonly label?: readonly number[];
}

const fixture = readFixture<{
  readonly shape: Shape;
  readonly affine: Affine;
  readonly image: readonly number[];
  readonly label: readonly number[];
  readonly cases: readonly Case[];
  readonly 'crop starts': readonly { shape: Shape; size: Shape; center: Shape; start: Shape }[];
}>('monai_transforms.json');

const sample: Sample = {
  ...{ shape: fixture.shape, channels: 2, affine: fixture.affine },
  image: Float32Array.from(fixture.image),
  label: Uint8Array.from(fixture.label),
};

/** What a spec makes of the sample; also of those that are given what they would draw. */
function made({ name, ...options }: Case['spec']): Sample {
  if (name === 'elastic') {
    const noise = Float32Array.from(options.noise as number[]);
    return elastic({ ...(options as unknown as Parameters<typeof elastic>[0]), noise })(sample);
  }
  if (name === 'biasField') return biasField(options as unknown as Parameters<typeof biasField>[0])(sample);
  return applyTransforms(sample, [{ name, ...options } as unknown as TransformSpec])[0] as Sample;
}

for (const { spec, shape, affine, image, label } of fixture.cases) {
  const { noise: _, ...shown } = spec;
  test(`as MONAI: ${JSON.stringify(shown)}`, () => {
    const result = made(spec);
    assert.deepEqual(result.shape, shape);
    assertClose(result.image, image, 1e-4, 'image');
    if (label) assert.deepEqual([...(result.label as Uint8Array)], label);
    // MONAI's elastic change leaves no trace in the affine, and neither does ours
    assertClose(result.affine, affine, 1e-4, 'affine');
  });
}

test('a crop around a voxel is moved inside as MONAI moves it', () => {
  for (const { shape, size, center, start } of fixture['crop starts'])
    assert.deepEqual(cropStart(center, size, shape), start);
});

/** A volume that differs everywhere, with a few labelled voxels. */
function noisy(shape: Shape, channels = 1): Sample {
  const random = randomSource(9);
  return {
    ...{ shape, channels, affine: IDENTITY },
    image: Float32Array.from({ length: voxels(shape) * channels }, () => 100 * random()),
    label: Uint8Array.from({ length: voxels(shape) }, (_, n) => (n % 97 === 0 ? 1 + (n % 2) : 0)),
  };
}

const cube = noisy([12, 12, 12]);
const KEYS = Array.from({ length: 200 }, (_, key) => key);

const RANDOM: Readonly<Record<string, (prob: number) => TransformSpec>> = {
  RandFlip: (prob) => ({ name: 'RandFlip', prob, spatialAxis: 1 }),
  RandRotate90: (prob) => ({ name: 'RandRotate90', prob }),
  RandAffine: (prob) => ({
    ...{ name: 'RandAffine', prob, rotateRange: 0.3, shearRange: 0.1, translateRange: 2, scaleRange: 0.1 },
  }),
  Rand3DElastic: (prob) => ({ name: 'Rand3DElastic', prob, sigmaRange: [1, 2], magnitudeRange: [5, 10] }),
  RandGaussianNoise: (prob) => ({ name: 'RandGaussianNoise', prob, std: 5 }),
  RandAdjustContrast: (prob) => ({ name: 'RandAdjustContrast', prob, gamma: [0.7, 1.5] }),
  RandBiasField: (prob) => ({ name: 'RandBiasField', prob, coeffRange: [0, 0.1] }),
};

for (const [name, spec] of Object.entries(RANDOM)) {
  const small = noisy([6, 6, 6]);
  const result = (prob: number, ...keys: number[]) => applyTransforms(small, [spec(prob)], ...keys)[0] as Sample;

  test(`${name}: the same keys give the same, and it happens as often as its probability says`, () => {
    const changed = KEYS.filter((key) => result(0.3, 4, key) !== small);
    assert.ok(changed.length > 35 && changed.length < 90, `${changed.length} of 200`);
    for (const key of KEYS.slice(0, 20)) assert.deepEqual(result(1, 4, key), result(1, 4, key));
    assert.ok(KEYS.every((key) => result(0, 4, key) === small));
  });

  test(`${name}: another key gives another change, and the image and its labels change together`, () => {
    const images = new Set(KEYS.slice(0, 20).map((key) => result(1, 4, key).image.join()));
    assert.ok(images.size >= (name === 'RandFlip' ? 1 : name === 'RandRotate90' ? 7 : 20), `${images.size} differ`);
    // the label as an image of its own changes as the labels do, up to what lies between voxels
    const marked = { ...small, image: Float32Array.from(small.label as Uint8Array) };
    const { image, label } = applyTransforms(marked, [spec(1)], 4, 2)[0] as Sample;
    if (/Flip|Rotate90/.test(name)) assert.deepEqual([...image], [...(label as Uint8Array)]);
    else if (/Affine|Elastic/.test(name)) assert.notDeepEqual(label, small.label);
    else assert.deepEqual(label, small.label);
  });
}

test('what a transform draws does not depend on the settings of the others', () => {
  const noise = { name: 'RandGaussianNoise', prob: 1, std: 5 } as const;
  const flip = (prob: number) => ({ name: 'RandFlip', prob, spatialAxis: 0 }) as const;
  const noiseOf = (specs: readonly TransformSpec[], base: Sample) =>
    (applyTransforms(base, specs, 7)[0] as Sample).image.map((value, n) => value - (base.image[n] as number));
  const flat = { ...cube, image: new Float32Array(cube.image.length) };
  assert.deepEqual(noiseOf([flip(0), noise], flat), noiseOf([flip(1), noise], flat));
});

test('the same transform twice draws twice', () => {
  const flat = { ...cube, image: new Float32Array(cube.image.length) };
  const noise = { name: 'RandGaussianNoise', prob: 1, std: 5 } as const;
  const noised = (...specs: TransformSpec[]) => (applyTransforms(flat, specs, 7)[0] as Sample).image;
  const once = noised(noise);
  assert.notDeepEqual(
    noised(noise, noise),
    once.map((value) => 2 * value),
  );
});

test('halfway between two voxels the even one counts, as in PyTorch', () => {
  const label = Uint8Array.of(10, 11, 12, 13);
  const halfway = { shape: [3, 1, 1] as const, matrix: [1, 0, 0, 0.5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] };
  assert.deepEqual(nearest(label, [4, 1, 1], halfway), Uint8Array.of(10, 12, 12));
});

test('noise has mean 0 and at most the deviation asked for', () => {
  const deviations = KEYS.slice(0, 50).map((key) => {
    const [noised] = applyTransforms(cube, [{ name: 'RandGaussianNoise', prob: 1, std: 5 }], key) as [Sample];
    const noise = noised.image.map((value, n) => value - (cube.image[n] as number));
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const deviation = Math.sqrt(noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length);
    assert.ok(Math.abs(mean) < 4 * (deviation / Math.sqrt(noise.length)) + 1e-3, `mean ${mean}`);
    return deviation;
  });
  assert.ok(
    Math.max(...deviations) < 5.3 && Math.max(...deviations) > 3.5 && Math.min(...deviations) < 1,
    `${deviations}`,
  );
});

test('gamma, bias field and affine changes stay within their ranges', () => {
  for (const key of KEYS.slice(0, 50)) {
    const [gamma] = applyTransforms(cube, [{ name: 'RandAdjustContrast', prob: 1, gamma: [0.7, 1.5] }], key) as [
      Sample,
    ];
    const [low, high] = [Math.min(...cube.image), Math.max(...cube.image)];
    assertClose([Math.min(...gamma.image), Math.max(...gamma.image)], [low, high], 1e-3, 'extremes');
    const exponents = [...gamma.image.keys()].flatMap((n) => {
      const [before, after] = [cube, gamma].map(({ image }) => ((image[n] as number) - low) / (high - low));
      return (before as number) > 0.2 && (before as number) < 0.8
        ? [Math.log(after as number) / Math.log(before as number)]
        : [];
    });
    assert.ok(
      exponents.every((value) => value > 0.699 && value < 1.501),
      `${Math.min(...exponents)}`,
    );
    const [shaded] = applyTransforms(cube, [{ name: 'RandBiasField', prob: 1, coeffRange: [0, 0.1] }], key) as [Sample];
    const fields = shaded.image.map((value, n) => Math.log(value / (cube.image[n] as number)));
    assert.ok(
      fields.every((value) => Math.abs(value) <= 20 * 0.1),
      `${Math.max(...fields)}`,
    );
    const spec = {
      name: 'RandAffine',
      prob: 1,
      rotateRange: 0.3,
      shearRange: 0,
      translateRange: 0,
      scaleRange: 0,
    } as const;
    const [turned] = applyTransforms(cube, [spec], key) as [Sample];
    const trace = (turned.affine[0] as number) + (turned.affine[5] as number) + (turned.affine[10] as number);
    const angle = Math.acos(Math.min(1, (trace - 1) / 2));
    assert.ok(angle > 0 && angle < 3 * 0.3, `turned by ${angle}`);
    assertClose(spacingOf(turned.affine), [1, 1, 1], 1e-9, 'spacing');
  }
});

test('crops have the size asked for, and around labelled voxels as often as pos says', () => {
  const big = noisy([20, 24, 28]);
  const size: Shape = [8, 7, 6];
  const middle = (crop: Sample) => crop.label?.[(4 * size[1] + 3) * size[2] + 3] !== 0;
  for (const [pos, neg, low, high] of [
    [3, 1, 0.55, 0.85],
    [1, 0, 0.75, 1],
    [0, 1, 0, 0.06],
  ] as const) {
    const spec = { name: 'RandCropByPosNegLabel', spatialSize: size, pos, neg, numSamples: 4 } as const;
    const crops = KEYS.flatMap((key) => applyTransforms(big, [spec], key));
    assert.equal(crops.length, 800);
    assert.ok(crops.every(({ shape, image }) => shape.join() === size.join() && image.length === voxels(size)));
    const share = crops.filter(middle).length / crops.length;
    // at the border a crop is moved inside, so that its middle is another voxel
    assert.ok(share >= low * 0.5 && share <= high, `pos ${pos}, neg ${neg}: ${share}`);
  }
});

test('a crop lies where its affine says', () => {
  const spec = { name: 'RandCropByPosNegLabel', spatialSize: [4, 4, 4], pos: 1, neg: 1, numSamples: 3 } as const;
  for (const { image, affine, shape } of applyTransforms(cube, [spec], 1)) {
    const [x, y, z] = [3, 7, 11].map((n) => affine[n] as number) as [number, number, number];
    for (let n = 0; n < voxels(shape); n++) {
      const [i, j, k] = [Math.floor(n / 16) + x, (Math.floor(n / 4) % 4) + y, (n % 4) + z];
      assert.equal(image[n], cube.image[(i * 12 + j) * 12 + k]);
    }
  }
});

test('each crop of a volume is changed in its own way', () => {
  const flat = { ...cube, image: new Float32Array(cube.image.length) };
  const crops = applyTransforms(
    flat,
    [
      { name: 'RandCropByPosNegLabel', spatialSize: [4, 4, 4], pos: 1, neg: 1, numSamples: 6 },
      { name: 'RandGaussianNoise', prob: 1, std: 5 },
    ],
    3,
  );
  assert.equal(new Set(crops.map(({ image }) => image.join())).size, 6);
});

test('labels that were found on a prepared volume come back to the space of the file', () => {
  const source = noisy([10, 12, 9]);
  const oblique: Sample = { ...source, affine: [0, -0.8, 0, 3, 1.1, 0, 0, 4, 0, 0, -2.5, 5, 0, 0, 0, 1] };
  const [prepared] = applyTransforms(oblique, [{ name: 'Orientation', axcodes: 'RAS' }]) as [Sample];
  assert.equal(axisCodes(prepared.affine), 'RAS');
  assert.deepEqual(labelsOnGrid(prepared.label as Uint8Array, prepared, oblique), oblique.label);
  const specs = [{ name: 'Spacing', pixdim: [0.5, 0.5, 0.5] }, { name: 'CropForeground' }] as const;
  const [fine] = applyTransforms(oblique, specs) as [Sample];
  assert.ok(!sameGrid(fine, oblique));
  assert.deepEqual(labelsOnGrid(fine.label as Uint8Array, fine, oblique), oblique.label);
});
