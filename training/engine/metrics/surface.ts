// How far the surfaces of two regions are apart: Hausdorff and average surface distances, with MONAI's conventions.
import { squaredDistances } from './distance-transform';

/** A box of voxels, in which a region is given by a set of flags. */
interface Box {
  readonly shape: readonly number[];
  readonly predicted: Uint8Array;
  readonly actual: Uint8Array;
}

/** Row-major steps from a voxel to the next along each axis. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
}

/** Calls `visit` with the index, and the place along each axis, of every voxel of a box. */
function forEachVoxel(shape: readonly number[], visit: (index: number, place: readonly number[]) => void): void {
  const place = shape.map(() => 0);
  const size = shape.reduce((product, length) => product * length, 1);
  for (let index = 0; index < size; index++) {
    visit(index, place);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] = (place[axis] as number) + 1;
      if ((place[axis] as number) < (shape[axis] as number)) break;
      place[axis] = 0;
    }
  }
}

/** The smallest box that holds both regions of a class; undefined where both are empty. */
function boxOf(
  predicted: ArrayLike<number>,
  actual: ArrayLike<number>,
  shape: readonly number[],
  label: number,
): Box | undefined {
  const low = shape.map(() => Number.POSITIVE_INFINITY);
  const high = shape.map(() => -1);
  forEachVoxel(shape, (index, place) => {
    if (predicted[index] !== label && actual[index] !== label) return;
    for (let axis = 0; axis < shape.length; axis++) {
      low[axis] = Math.min(low[axis] as number, place[axis] as number);
      high[axis] = Math.max(high[axis] as number, place[axis] as number);
    }
  });
  if ((high[0] as number) < 0) return undefined;
  const inner = low.map((from, axis) => (high[axis] as number) - from + 1);
  const strides = stridesOf(shape);
  const size = inner.reduce((product, length) => product * length, 1);
  const box = { shape: inner, predicted: new Uint8Array(size), actual: new Uint8Array(size) };
  forEachVoxel(inner, (index, place) => {
    const source = place.reduce((sum, at, axis) => sum + (at + (low[axis] as number)) * (strides[axis] as number), 0);
    if (predicted[source] === label) box.predicted[index] = 1;
    if (actual[source] === label) box.actual[index] = 1;
  });
  return box;
}

/** The voxels of a region of which a neighbour across a face is outside of it, or of the image. */
function edgesOf(region: Uint8Array, shape: readonly number[]): Uint8Array {
  const strides = stridesOf(shape);
  const edges = new Uint8Array(region.length);
  forEachVoxel(shape, (index, place) => {
    if (region[index] === 0) return;
    const open = strides.some((stride, axis) => {
      const at = place[axis] as number;
      const outermost = at === 0 || at === (shape[axis] as number) - 1;
      return outermost || region[index - stride] === 0 || region[index + stride] === 0;
    });
    if (open) edges[index] = 1;
  });
  return edges;
}

/** From each voxel of a surface to the nearest of the other. */
function distancesBetween(
  from: Uint8Array,
  to: Uint8Array,
  shape: readonly number[],
  spacing: readonly number[],
): Float64Array {
  const squares = squaredDistances(to, shape, spacing);
  const found: number[] = [];
  for (let i = 0; i < from.length; i++) if (from[i]) found.push(Math.sqrt(squares[i] as number));
  return Float64Array.from(found);
}

/** Surface distances of one class. */
export interface SurfaceDistances {
  /** From each voxel of the predicted surface to the actual one, in the unit of the spacing. */
  readonly fromPredicted: Float64Array;
  /** From each voxel of the actual surface to the predicted one. */
  readonly fromActual: Float64Array;
}

/**
 * Distances between the surfaces of a class in a prediction and in the truth; a surface is the voxels with a face to the outside.
 *
 * @param predicted labels, row by row in `shape`
 * @param actual labels, likewise
 * @param spacing length of a voxel along each axis, mm
 */
export function surfaceDistances(
  predicted: ArrayLike<number>,
  actual: ArrayLike<number>,
  shape: readonly number[],
  label: number,
  spacing: readonly number[] = shape.map(() => 1),
): SurfaceDistances {
  const box = boxOf(predicted, actual, shape, label);
  if (box === undefined) return { fromPredicted: new Float64Array(), fromActual: new Float64Array() };
  const [edges, truth] = [edgesOf(box.predicted, box.shape), edgesOf(box.actual, box.shape)];
  return {
    fromPredicted: distancesBetween(edges, truth, box.shape, spacing),
    fromActual: distancesBetween(truth, edges, box.shape, spacing),
  };
}

/** The value below which a share of the values lies, between neighbours along a line, as numpy's and PyTorch's quantile. */
function quantile(values: Float64Array, share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.slice().sort();
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number];
  return below === above ? below : below + (above - below) * (place - Math.floor(place));
}

/**
 * The larger of the two directed distances that a share of each surface keeps: 95 is the Hausdorff distance that challenges use. Not a
 * number where the class is missing in the prediction, the truth or both, as MONAI's.
 */
export function hausdorffDistance({ fromPredicted, fromActual }: SurfaceDistances, percentile = 95): number {
  if (fromPredicted.length === 0 || fromActual.length === 0) return Number.NaN;
  return Math.max(quantile(fromPredicted, percentile / 100), quantile(fromActual, percentile / 100));
}

/**
 * The mean distance from the predicted surface to the actual one; symmetric: over the distances of both directions. Not a number where
 * the class is in neither; infinite where it is in one alone, as MONAI's.
 */
export function averageSurfaceDistance({ fromPredicted, fromActual }: SurfaceDistances, symmetric = true): number {
  if (fromPredicted.length === 0 && fromActual.length === 0) return Number.NaN;
  if (fromPredicted.length === 0 || fromActual.length === 0) return Number.POSITIVE_INFINITY;
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  if (!symmetric) return sum(fromPredicted) / fromPredicted.length;
  return (sum(fromPredicted) + sum(fromActual)) / (fromPredicted.length + fromActual.length);
}
