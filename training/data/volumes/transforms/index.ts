// Transforms by MONAI's names, declared as data, composed and seeded.
import { type RandomSource, randomSource } from '../../random';
import type { Sample } from '../volume';
import * as crop from './crop';
import * as intensity from './intensity';
import * as spatial from './spatial';

const TRANSFORMS = {
  Orientation: spatial.orientation,
  Spacing: spatial.spacing,
  Flip: spatial.flip,
  RandFlip: spatial.randFlip,
  Rotate90: spatial.rotate90,
  RandRotate90: spatial.randRotate90,
  Affine: spatial.affine,
  RandAffine: spatial.randAffine,
  Rand3DElastic: spatial.rand3DElastic,
  ScaleIntensity: intensity.scaleIntensity,
  ScaleIntensityRange: intensity.scaleIntensityRange,
  ScaleIntensityRangePercentiles: intensity.scaleIntensityRangePercentiles,
  NormalizeIntensity: intensity.normalizeIntensity,
  AdjustContrast: intensity.adjustContrast,
  RandAdjustContrast: intensity.randAdjustContrast,
  RandGaussianNoise: intensity.randGaussianNoise,
  RandBiasField: intensity.randBiasField,
  CropForeground: crop.cropForeground,
  SpatialPad: crop.spatialPad,
  CenterSpatialCrop: crop.centerSpatialCrop,
  RandCropByPosNegLabel: crop.randCropByPosNegLabel,
} as const;

type Transforms = typeof TRANSFORMS;

/** A transform and its options, e.g. `{ name: 'RandFlip', prob: 0.5, spatialAxis: 0 }`. */
export type TransformSpec = {
  [Name in keyof Transforms]: { readonly name: Name } & Parameters<Transforms[Name]>[0];
}[keyof Transforms];

type Transform = (sample: Sample, random: RandomSource) => Sample | readonly Sample[];

/**
 * Applies transforms in turn; what one makes several of goes on as several. Each draws from a source of its own, keyed by the given keys,
 * the crop's number and its place in the list: what one draws does not change what another does, and the same keys give the same.
 *
 * @param keys e.g. seed, epoch, number of the subject
 */
export function applyTransforms(sample: Sample, specs: readonly TransformSpec[], ...keys: readonly number[]): Sample[] {
  let samples: Sample[] = [sample];
  for (const [place, { name, ...options }] of specs.entries()) {
    const transform = (TRANSFORMS[name] as unknown as (options: unknown) => Transform)(options);
    samples = samples.flatMap((each, number) => transform(each, randomSource(...keys, number, place)));
  }
  return samples;
}
