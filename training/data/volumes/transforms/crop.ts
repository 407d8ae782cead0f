// Which voxels are looked at: the foreground, a box of a size, random boxes around the labels. Named and computed as MONAI's.
import type { RandomSource } from '../../random';
import { emptyLike, type Labels, multiply, refuseHuge, type Sample, type Shape, translation, voxels } from '../volume';

function windowed<Data extends Float32Array | Labels>(
  data: Data,
  [, J, K]: Shape,
  channels: number,
  start: Shape,
  size: Shape,
  length: Shape,
): Data {
  const result = emptyLike(data, voxels(size) * channels);
  const [low, high] = [
    start.map((at) => Math.max(0, -at)),
    start.map((at, axis) => Math.min(size[axis] as number, (length[axis] as number) - at)),
  ];
  const [lowI = 0, lowJ = 0, lowK = 0] = low;
  const [highI = 0, highJ = 0, highK = 0] = high;
  if (highK <= lowK) return result;
  for (let i = lowI; i < highI; i++)
    for (let j = lowJ; j < highJ; j++) {
      const from = (((i + start[0]) * J + j + start[1]) * K + lowK + start[2]) * channels;
      const run = data.subarray(from, from + (highK - lowK) * channels);
      result.set(run as never, ((i * size[1] + j) * size[2] + lowK) * channels);
    }
  return result;
}

/** A box of the sample; what lies beyond it is 0. @param start may be negative */
export function box(sample: Sample, start: Shape, size: Shape): Sample {
  const { image, label, shape, channels, affine } = sample;
  refuseHuge(size, channels);
  if (start.every((at) => at === 0) && size.every((length, axis) => length === shape[axis])) return sample;
  return {
    ...{ shape: size, channels, affine: multiply(affine, translation(start)) },
    image: windowed(image, shape, channels, start, size, shape),
    ...(label && { label: windowed(label, shape, 1, start, size, shape) }),
  };
}

/** The smallest box with all values above 0 of any channel, and a margin of voxels around it, padded where that reaches beyond. */
export function cropForeground({ margin = 0 }: { readonly margin?: number }) {
  return (sample: Sample): Sample => {
    const { shape, channels, image } = sample;
    const low = [...shape];
    const high = [-1, -1, -1];
    for (let i = 0, at = 0; i < shape[0]; i++)
      for (let j = 0; j < shape[1]; j++)
        for (let k = 0; k < shape[2]; k++)
          for (let channel = 0; channel < channels; channel++, at++)
            if ((image[at] as number) > 0)
              for (const [axis, place] of [i, j, k].entries()) {
                if (place < (low[axis] as number)) low[axis] = place;
                if (place > (high[axis] as number)) high[axis] = place;
              }
    // an image without foreground stays: a box of nothing helps nobody
    if ((high[0] as number) < 0) return sample;
    const start = low.map((place) => place - margin) as unknown as Shape;
    return box(
      sample,
      start,
      high.map((place, axis) => place - (low[axis] as number) + 1 + 2 * margin) as unknown as Shape,
    );
  };
}

/** Padded with 0 to at least the size, equally at both ends; at the upper end one more where it does not come out even. */
export function spatialPad({ spatialSize }: { readonly spatialSize: Shape }) {
  return (sample: Sample): Sample => {
    const widths = sample.shape.map((length, axis) => Math.max(0, (spatialSize[axis] as number) - length));
    const start = widths.map((width) => -Math.floor(width / 2)) as unknown as Shape;
    return box(
      sample,
      start,
      sample.shape.map((length, axis) => length + (widths[axis] as number)) as unknown as Shape,
    );
  };
}

/** The box in the middle. */
export function centerSpatialCrop({ roiSize }: { readonly roiSize: Shape }) {
  return (sample: Sample): Sample => {
    const size = sample.shape.map((length, axis) => Math.min(length, roiSize[axis] as number)) as unknown as Shape;
    const start = sample.shape.map((length, axis) => Math.floor(length / 2) - Math.floor((size[axis] as number) / 2));
    return box(sample, start as unknown as Shape, size);
  };
}

/** The start of a box of a size around a voxel, moved inside. */
export function cropStart(center: Shape, size: Shape, shape: Shape): Shape {
  return center.map((place, axis) => {
    const length = size[axis] as number;
    return Math.min(Math.max(place - Math.floor(length / 2), 0), (shape[axis] as number) - length);
  }) as unknown as Shape;
}

/** The numbers of the voxels that hold a label, or that hold none, of the given ranks among their kind. */
function findRanked(label: Labels, positive: boolean, ranks: readonly number[]): Map<number, number> {
  const wanted = [...new Set(ranks)].sort((a, b) => a - b);
  const found = new Map<number, number>();
  let [passed, next] = [0, 0];
  let target = wanted[next];
  for (let at = 0; target !== undefined && at < label.length; at++) {
    if ((label[at] !== 0) !== positive) continue;
    if (passed === target) {
      found.set(target, at);
      target = wanted[++next];
    }
    passed++;
  }
  return found;
}

/**
 * Boxes around random voxels: a labelled one in pos of pos + neg times, else one without a label. Where a volume has only one kind, all
 * are of that.
 *
 * @throws Error when the sample has no label, or is smaller than the box
 */
export function randCropByPosNegLabel(options: {
  readonly spatialSize: Shape;
  readonly pos: number;
  readonly neg: number;
  readonly numSamples: number;
}) {
  return (sample: Sample, random: RandomSource): Sample[] => {
    const { label, shape } = sample;
    const { spatialSize, pos, neg, numSamples } = options;
    if (label === undefined) throw new Error('it has no label to crop by');
    if (shape.some((length, axis) => length < (spatialSize[axis] as number)))
      throw new Error(`${shape.join(' x ')} voxels are too few for crops of ${spatialSize.join(' x ')}`);
    let labelled = 0;
    for (let at = 0; at < label.length; at++) if (label[at] !== 0) labelled++;
    const share = labelled === 0 ? 0 : labelled === label.length ? 1 : pos / (pos + neg);
    const wanted = Array.from({ length: numSamples }, () => {
      const positive = random() < share;
      return { positive, rank: Math.floor(random() * (positive ? labelled : label.length - labelled)) };
    });
    const ranksOf = (kind: boolean) => wanted.flatMap(({ positive, rank }) => (positive === kind ? [rank] : []));
    const places = { true: findRanked(label, true, ranksOf(true)), false: findRanked(label, false, ranksOf(false)) };
    return wanted.map(({ positive, rank }) => {
      const at = places[`${positive}`].get(rank) as number;
      const [i, j, k] = [Math.floor(at / (shape[1] * shape[2])), Math.floor(at / shape[2]) % shape[1], at % shape[2]];
      return box(sample, cropStart([i, j, k], spatialSize, shape), spatialSize);
    });
  };
}
