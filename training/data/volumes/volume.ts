// A volume of voxels, where it lies in the world, and how it is turned without changing a value.

/** Voxels along i, j and k. */
export type Shape = readonly [i: number, j: number, k: number];

/** A number for each axis; the last of them stands for those that are not given. */
export function shapeOf([i = 1, j = i, k = j]: readonly number[]): Shape {
  return [i, j, k];
}

/** Voxel indices to world coordinates (RAS+, mm): a 4 x 4 matrix, row by row. */
export type Affine = readonly number[];

/** Where voxels lie. */
export interface Grid {
  readonly shape: Shape;
  readonly affine: Affine;
}

export type Labels = Uint8Array | Int16Array;

/** A subject's voxels: k runs fastest of i, j and k, channels fastest of all. */
export interface Sample extends Grid {
  readonly channels: number;
  /** [I, J, K, C] */
  readonly image: Float32Array;
  /** [I, J, K] */
  readonly label?: Labels;
}

/** The most values that a volume may have: 2 GiB as float32. What says that it has more is damaged, or too large for a thread. */
export const MOST_VALUES = 2 ** 29;

/** @throws Error when a volume would have more values than allowed */
export function refuseHuge(shape: Shape, channels: number): void {
  if (voxels(shape) * channels > MOST_VALUES)
    throw new Error(
      `it would have ${shape.join(' x ')} voxels${channels > 1 ? ` of ${channels} channels` : ''}; ${MOST_VALUES} values are the most`,
    );
}

export const IDENTITY: Affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];

export const voxels = ([i, j, k]: Shape) => i * j * k;

/** The product of two 4 x 4 matrices. */
export function multiply(a: Affine, b: Affine): Affine {
  return Array.from({ length: 16 }, (_, n) => {
    const [row, column] = [Math.floor(n / 4), n % 4];
    let sum = 0;
    for (let i = 0; i < 4; i++) sum += (a[row * 4 + i] as number) * (b[i * 4 + column] as number);
    return sum;
  });
}

type Twelve = readonly [number, number, number, number, number, number, number, number, number, number, number, number];

/** The inverse of an affine matrix, or undefined where it has none. */
export function invert(matrix: Affine): Affine | undefined {
  const [a, b, c, x, d, e, f, y, g, h, i, z] = matrix as unknown as Twelve;
  const [p, q, r] = [e * i - f * h, f * g - d * i, d * h - e * g];
  const determinant = a * p + b * q + c * r;
  if (determinant === 0 || !Number.isFinite(determinant)) return undefined;
  const inner = [p, c * h - b * i, b * f - c * e, q, a * i - c * g, c * d - a * f, r, b * g - a * h, a * e - b * d];
  const rows = [0, 3, 6].map((start) => inner.slice(start, start + 3).map((value) => value / determinant));
  return rows
    .flatMap((row) => [...row, -[x, y, z].reduce((sum, value, n) => sum + value * (row[n] as number), 0)])
    .concat([0, 0, 0, 1]);
}

/** Multiplied with voxel indices: shifted by so many voxels. */
export function translation([x, y, z]: Shape): Affine {
  return [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1];
}

/** Distance of neighbouring voxels along i, j and k, mm. */
export function spacingOf(affine: Affine): Shape {
  const along = (axis: number) => Math.hypot(...[0, 4, 8].map((row) => affine[row + axis] as number));
  return [along(0), along(1), along(2)];
}

/** Whether two grids lie at the same place, to a thousandth of a voxel (at their corners). */
export function sameGrid(a: Grid, b: Grid): boolean {
  if (a.shape.some((length, axis) => length !== b.shape[axis])) return false;
  const tolerance = Math.max(1e-3 * Math.min(...spacingOf(a.affine)), 1e-6);
  return [0, 1, 2].every((row) => {
    const off = (column: number) =>
      Math.abs((a.affine[row * 4 + column] as number) - (b.affine[row * 4 + column] as number));
    return off(0) * a.shape[0] + off(1) * a.shape[1] + off(2) * a.shape[2] + off(3) <= tolerance;
  });
}

/** Ends of the world's axes: left to right, posterior to anterior, inferior to superior. */
const ENDS = ['LR', 'PA', 'IS'] as const;

/** Which world axis each voxel axis runs along most nearly, and to which end. The strongest is taken first, as nibabel does. */
function directions(affine: Affine): { axis: number; end: 0 | 1 }[] {
  const spacing = spacingOf(affine);
  const cosine = (row: number, column: number) => (affine[row * 4 + column] as number) / (spacing[column] || 1);
  const free = new Set([0, 1, 2]);
  const result: { axis: number; end: 0 | 1 }[] = [];
  const strongest = (column: number) => Math.max(...[0, 1, 2].map((row) => Math.abs(cosine(row, column))));
  for (const column of [0, 1, 2].sort((a, b) => strongest(b) - strongest(a) || a - b)) {
    const axis = [...free].reduce((best, row) =>
      Math.abs(cosine(row, column)) > Math.abs(cosine(best, column)) ? row : best,
    );
    free.delete(axis);
    result[column] = { axis, end: cosine(axis, column) < 0 ? 0 : 1 };
  }
  return result;
}

/** The orientation of the voxel axes, e.g. RAS: i runs to the right, j to the front, k up. */
export function axisCodes(affine: Affine): string {
  return directions(affine)
    .map(({ axis, end }) => (ENDS[axis] as string)[end])
    .join('');
}

/** Whether a text names an orientation: one end of each axis of the body. */
export function isOrientation(codes: string): boolean {
  return codes.length === 3 && ENDS.every((ends) => [...codes].filter((code) => ends.includes(code)).length === 1);
}

/** For each axis of the result: which axis of the source it is, and whether it runs the other way. */
export type Turn = readonly { readonly axis: number; readonly flip: boolean }[];

/** The turn that gives voxels of an affine the orientation. @param codes e.g. RAS */
export function turnTo(codes: string, affine: Affine): Turn {
  const source = directions(affine);
  return [...codes].map((code) => {
    const world = ENDS.findIndex((ends) => ends.includes(code));
    const axis = source.findIndex((direction) => direction.axis === world);
    return { axis, flip: (ENDS[world] as string)[source[axis]?.end ?? 0] !== code };
  });
}

/** Values of a typed array of the same kind. */
export function emptyLike<Data extends Float32Array | Labels>(data: Data, length: number): Data {
  return new (data.constructor as new (length: number) => Data)(length);
}

/** How one axis of a result runs through its source, in values. */
interface Run {
  readonly length: number;
  readonly step: number;
  readonly start: number;
}

function turnData<Data extends Float32Array | Labels>(data: Data, shape: Shape, channels: number, turn: Turn): Data {
  const strides = [shape[1] * shape[2] * channels, shape[2] * channels, channels];
  const runs = turn.map(({ axis, flip }): Run => {
    const [length, stride] = [shape[axis] as number, strides[axis] as number];
    return { length, step: flip ? -stride : stride, start: flip ? (length - 1) * stride : 0 };
  });
  const [a, b, c] = runs as [Run, Run, Run];
  const result = emptyLike(data, data.length);
  let target = 0;
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let from = a.start + i * a.step + b.start + j * b.step + c.start;
      for (let k = 0; k < c.length; k++, from += c.step)
        for (let channel = 0; channel < channels; channel++) result[target++] = data[from + channel] as number;
    }
  }
  return result;
}

/** The sample with its axes exchanged and reversed; each voxel stays where it is in the world. */
export function turned(sample: Sample, turn: Turn): Sample {
  if (turn.every(({ axis, flip }, position) => axis === position && !flip)) return sample;
  const { shape, channels, image, label, affine } = sample;
  const change = new Array<number>(16).fill(0);
  change[15] = 1;
  for (const [target, { axis, flip }] of turn.entries()) {
    change[axis * 4 + target] = flip ? -1 : 1;
    if (flip) change[axis * 4 + 3] = (shape[axis] as number) - 1;
  }
  return {
    shape: turn.map(({ axis }) => shape[axis]) as unknown as Shape,
    channels,
    affine: multiply(affine, change),
    image: turnData(image, shape, channels, turn),
    ...(label && { label: turnData(label, shape, 1, turn) }),
  };
}
