// The exact Euclidean distance from every voxel to the nearest one of a set (Felzenszwalb & Huttenlocher, Theory of Computing 8, 2012).

/** Buffers for one line of voxels: the parabolas that make up the lower envelope, and where each begins. */
interface Scratch {
  readonly line: Float64Array;
  readonly place: Int32Array;
  readonly bound: Float64Array;
}

/** Squared distances along one line: min over j of (spacing * (i - j))^2 + line[j], in place of `values` at every `stride`. */
function transformLine(
  values: Float64Array,
  { start, stride, length }: { start: number; stride: number; length: number },
  spacing: number,
  { line, place, bound }: Scratch,
): void {
  for (let i = 0; i < length; i++) line[i] = values[start + i * stride] as number;
  const square = spacing * spacing;
  let last = -1;
  for (let i = 0; i < length; i++) {
    const height = line[i] as number;
    if (height === Number.POSITIVE_INFINITY) continue;
    let from = Number.NEGATIVE_INFINITY;
    while (last >= 0) {
      const other = place[last] as number;
      from = (i + other) / 2 + (height - (line[other] as number)) / (2 * square * (i - other));
      if (from > (bound[last] as number)) break;
      last--;
      from = Number.NEGATIVE_INFINITY;
    }
    last++;
    place[last] = i;
    bound[last] = from;
  }
  if (last < 0) return;
  for (let i = 0, k = 0; i < length; i++) {
    while (k < last && (bound[k + 1] as number) < i) k++;
    const nearest = place[k] as number;
    values[start + i * stride] = square * (i - nearest) ** 2 + (line[nearest] as number);
  }
}

/**
 * Squared distances to the nearest voxel of a set, in the unit of the spacing; infinite everywhere where the set is empty.
 *
 * @param set not 0 where a voxel belongs to it, row by row in `shape`
 * @param spacing length of a voxel along each axis
 */
export function squaredDistances(
  set: ArrayLike<number>,
  shape: readonly number[],
  spacing: readonly number[],
): Float64Array {
  const values = Float64Array.from({ length: set.length }, (_, i) => (set[i] ? 0 : Number.POSITIVE_INFINITY));
  const longest = Math.max(...shape);
  const scratch = {
    line: new Float64Array(longest),
    place: new Int32Array(longest),
    bound: new Float64Array(longest),
  };
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] as number;
    for (let outer = 0; outer < set.length; outer += stride * length) {
      for (let inner = 0; inner < stride; inner++)
        transformLine(values, { start: outer + inner, stride, length }, spacing[axis] as number, scratch);
    }
    stride *= length;
  }
  return values;
}
