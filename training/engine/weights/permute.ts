// Reorders the axes of an array in memory.

/** Along an axis: how many values, and how far one is from the next in the source and in the target. */
interface Axis {
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

/** The sides of the squares that are moved at once: as many values as a cache line has. */
const SIDE = 16;

function stride(lengths: readonly number[], axis: number): number {
  return lengths.slice(axis + 1).reduce((product, length) => product * length, 1);
}

/** The axes in the target's order: none of length 1, and those as one that follow each other in source and target alike. */
function merged(shape: readonly number[], order: readonly number[]): Axis[] {
  const lengths = order.map((axis) => shape[axis] as number);
  const axes: Axis[] = [];
  for (const [axis, old] of order.entries()) {
    const next = { length: lengths[axis] as number, from: stride(shape, old), to: stride(lengths, axis) };
    if (next.length === 1) continue;
    const before = axes.at(-1);
    if (before?.from === next.length * next.from) axes.splice(-1, 1, { ...next, length: before.length * next.length });
    else axes.push(next);
  }
  return axes;
}

/** Moves a matrix: `rows` lie together in the target, `columns` in the source. */
function transpose(
  data: Float32Array,
  source: number,
  result: Float32Array,
  target: number,
  rows: Axis,
  columns: Axis,
) {
  for (let top = 0; top < rows.length; top += SIDE) {
    const bottom = Math.min(rows.length, top + SIDE);
    for (let left = 0; left < columns.length; left += SIDE) {
      const right = Math.min(columns.length, left + SIDE);
      for (let column = left; column < right; column++) {
        const [read, write] = [source + column, target + column * columns.to];
        for (let row = top; row < bottom; row++) result[write + row] = data[read + row * rows.from] as number;
      }
    }
  }
}

/** The values of an array of the given shape with its axes in another order; `axes[i]` is the old axis that becomes the i-th. */
export function permute(data: Float32Array, shape: readonly number[], axes: readonly number[]): Float32Array {
  const all = merged(shape, axes);
  const rows = all.find(({ to }) => to === 1);
  const columns = all.find(({ from }) => from === 1);
  if (rows === undefined || columns === undefined || rows === columns) return permuteRows(data, all);
  const result = new Float32Array(data.length);
  const others = all.filter((axis) => axis !== rows && axis !== columns);
  forEachPlace(others, (source, target) => transpose(data, source, result, target, rows, columns));
  return result;
}

/** Where the last axis stays the last one. */
function permuteRows(data: Float32Array, axes: readonly Axis[]): Float32Array {
  const result = new Float32Array(data.length);
  const length = axes.at(-1)?.length ?? data.length;
  forEachPlace(axes.slice(0, -1), (source, target) => result.set(data.subarray(source, source + length), target));
  return result;
}

/** Calls visit(source, target) where each place of the axes begins, the last axis first. */
function forEachPlace(
  [axis, ...rest]: readonly Axis[],
  visit: (source: number, target: number) => void,
  source = 0,
  target = 0,
): void {
  if (axis === undefined) visit(source, target);
  else for (let i = 0; i < axis.length; i++) forEachPlace(rest, visit, source + i * axis.from, target + i * axis.to);
}
