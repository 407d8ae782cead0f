// Which transforms the hyperparameters ask for, in the order in which MONAI's tutorials have them.
import type { Hyperparameters } from '../../hyperparameters';
import type { TransformSpec } from './transforms';
import { shapeOf } from './volume';

type Scaling = Pick<
  Hyperparameters,
  | 'intensity_scaling'
  | 'a_min'
  | 'a_max'
  | 'b_min'
  | 'b_max'
  | 'lower_percentile'
  | 'upper_percentile'
  | 'clip'
  | 'nonzero'
  | 'channel_wise'
>;

function scaling(h: Scaling): TransformSpec[] {
  const target = { bMin: h.b_min, bMax: h.b_max };
  switch (h.intensity_scaling) {
    case 'normalize':
      return [{ name: 'NormalizeIntensity', nonzero: h.nonzero, channelWise: h.channel_wise }];
    case 'range':
      return [{ name: 'ScaleIntensityRange', aMin: h.a_min, aMax: h.a_max, ...target, clip: h.clip }];
    case 'percentiles': {
      const [lower, upper] = [h.lower_percentile, h.upper_percentile];
      const options = { lower, upper, ...target, clip: h.clip, channelWise: h.channel_wise };
      return [{ name: 'ScaleIntensityRangePercentiles', ...options }];
    }
    case 'minmax':
      return [{ name: 'ScaleIntensity', ...target, channelWise: h.channel_wise }];
    case 'none':
      return [];
  }
}

/**
 * What every volume undergoes, also those that are predicted. The foreground is what lies above 0: a z-score moves that, so it is cut
 * before one; a range of CT is what makes it, so it is cut after one.
 */
export function prepareTransforms(
  h: Scaling & Pick<Hyperparameters, 'orientation' | 'spacing' | 'crop_foreground'>,
): TransformSpec[] {
  const foreground: TransformSpec[] = h.crop_foreground ? [{ name: 'CropForeground' }] : [];
  const place: TransformSpec[] = [
    ...(h.orientation === 'none' ? [] : [{ name: 'Orientation', axcodes: h.orientation } as const]),
    ...(h.spacing ? [{ name: 'Spacing', pixdim: h.spacing } as const] : []),
  ];
  const scaled = scaling(h);
  return h.intensity_scaling === 'normalize'
    ? [...place, ...foreground, ...scaled]
    : [...place, ...scaled, ...foreground];
}

type Range = readonly [number, number];

/**
 * Crops of training volumes, and how they change. What has the probability 0 stands here too: a transform draws by its place, and one
 * setting must not change what another draws.
 */
export function augmentTransforms(h: Hyperparameters): TransformSpec[] {
  const spatialSize = shapeOf(h.roi_size);
  return [
    { name: 'SpatialPad', spatialSize },
    { name: 'RandCropByPosNegLabel', spatialSize, pos: h.pos_neg_ratio, neg: 1, numSamples: h.num_samples },
    ...[0, 1, 2].map((spatialAxis) => ({ name: 'RandFlip', prob: h.flip_prob, spatialAxis }) as const),
    { name: 'RandRotate90', prob: h.rotate90_prob },
    {
      name: 'RandAffine',
      prob: h.affine_prob,
      rotateRange: h.rotate_range,
      shearRange: h.shear_range,
      translateRange: h.translate_range,
      scaleRange: h.scale_range,
    },
    {
      name: 'Rand3DElastic',
      prob: h.elastic_prob,
      sigmaRange: h.sigma_range as unknown as Range,
      magnitudeRange: h.magnitude_range as unknown as Range,
    },
    { name: 'RandBiasField', prob: h.bias_field_prob, coeffRange: h.bias_field_coeff as unknown as Range },
    { name: 'RandGaussianNoise', prob: h.noise_prob, std: h.noise_std },
    { name: 'RandAdjustContrast', prob: h.gamma_prob, gamma: h.gamma_range as unknown as Range },
  ];
}

/** Names of the modalities that are asked for; undefined: all. */
export function askedModalities({ modalities }: Pick<Hyperparameters, 'modalities'>): string[] | undefined {
  return modalities === 'all' ? undefined : modalities.split(',');
}

/** Where prepared volumes are kept. @param folder gets them where they are kept on disk */
export function cacheOptions(
  { cache, cache_gb }: Pick<Hyperparameters, 'cache' | 'cache_gb'>,
  folder: string,
): { readonly bytes: number; readonly folder?: string } | undefined {
  if (cache === 'none') return undefined;
  return { bytes: cache_gb * 1e9, ...(cache === 'disk' && { folder }) };
}
