// Inference window by window over images too large for one go, as MONAI's sliding_window_inference.

/** Windows, by MONAI's names and defaults (monai.inferers.sliding_window_inference). */
export interface SlidingWindowOptions {
  /** Voxels of a window along each axis; an axis on which the image is smaller is padded with 0 on both sides. */
  readonly roi: readonly number[];
  /** Windows that are predicted at once. @default 1 */
  readonly batch?: number;
  /** Share of a window that the next one covers again, from 0 to below 1. @default 0.25 */
  readonly overlap?: number;
  /** What a voxel's predictions count by the place in their windows: all the same, or less towards the border. @default constant */
  readonly blending?: 'constant' | 'gaussian';
  /** Deviation of the Gaussian, in lengths of the window. @default 0.125 */
  readonly sigmaScale?: number;
}

/** Logits of windows: [count, ...roi, channels] -> [count, ...roi, classes]. */
export type Predict = (windows: Float32Array, count: number) => Promise<Float32Array>;

/** Predictions of all voxels whose place on the first axis is from `start` on. */
export interface Slab {
  readonly start: number;
  /** Places on the first axis. */
  readonly length: number;
  readonly classes: number;
  /** [length, ...the other axes, classes], valid until the next slab is asked for. */
  readonly values: Float32Array;
}

const product = (lengths: readonly number[]) => lengths.reduce((total, length) => total * length, 1);

/** Where windows begin along an axis: the last one ends with the image. */
function startsOf(length: number, roi: number, overlap: number): number[] {
  if (roi === length) return [0];
  const interval = Math.max(1, Math.floor(roi * (1 - overlap)));
  const count = Math.ceil((length - roi) / interval) + 1;
  return Array.from({ length: count }, (_, i) => Math.min(i * interval, length - roi));
}

/** All combinations, the last axis the fastest. */
function placesOf(starts: readonly (readonly number[])[]): number[][] {
  return starts.reduce<number[][]>((places, axis) => places.flatMap((place) => axis.map((at) => [...place, at])), [[]]);
}

/** Weights of a window's voxels; none is below 1e-3 of the largest, as in MONAI's compute_importance_map. */
export function importanceMap(
  roi: readonly number[],
  blending: NonNullable<SlidingWindowOptions['blending']>,
  sigmaScale: number,
): Float32Array {
  if (blending === 'constant') return new Float32Array(product(roi)).fill(1);
  const bell = (length: number) =>
    Array.from({ length }, (_, i) => Math.exp((i - (length - 1) / 2) ** 2 / (-2 * (sigmaScale * length) ** 2)));
  const map = roi.map(bell).reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1]);
  const least = Math.max(
    map.reduce((low, value) => Math.min(low, value), Number.POSITIVE_INFINITY),
    1e-3,
  );
  return Float32Array.from(map, (value) => Math.max(value, least));
}

/** Calls `visit` with the offsets in two arrays of every row (the last axis) of a box that begins at a place in each. */
function forEachRow(
  box: readonly number[],
  a: { shape: readonly number[]; place: readonly number[] },
  b: { shape: readonly number[]; place: readonly number[] },
  visit: (a: number, b: number) => void,
): void {
  const offset = ({ shape, place }: typeof a, at: readonly number[]) =>
    shape.reduce((sum, length, axis) => sum * length + (place[axis] as number) + (at[axis] ?? 0), 0);
  for (const at of placesOf(box.slice(0, -1).map((length) => Array.from({ length }, (_, i) => i))))
    visit(offset(a, at), offset(b, at));
}

/** The image with zeros on both sides of the axes on which it is smaller than a window. */
function padded(
  image: Float32Array,
  shape: readonly number[],
  full: readonly number[],
  channels: number,
): Float32Array {
  if (shape.every((length, axis) => length === full[axis])) return image;
  const result = new Float32Array(product(full) * channels);
  const place = shape.map((length, axis) => Math.floor(((full[axis] as number) - length) / 2));
  const row = (shape.at(-1) as number) * channels;
  forEachRow(shape, { shape, place: shape.map(() => 0) }, { shape: full, place }, (from, to) =>
    result.set(image.subarray(from * channels, from * channels + row), to * channels),
  );
  return result;
}

function check(shape: readonly number[], channels: number, length: number, options: SlidingWindowOptions): void {
  const { roi, overlap = 0.25, batch = 1 } = options;
  if (roi.length !== shape.length)
    throw new RangeError(`the window has ${roi.length} axes ([${roi}]), the image ${shape.length} ([${shape}])`);
  if (!(overlap >= 0 && overlap < 1)) throw new RangeError(`the overlap is ${overlap}; allowed is 0 to below 1`);
  if (!(batch >= 1)) throw new RangeError(`a batch has ${batch} windows; 1 is the least`);
  if (product(shape) * channels !== length)
    throw new RangeError(`[${shape}] of ${channels} channels has ${product(shape) * channels} values, not ${length}`);
}

/**
 * Predictions of an image, in slabs along the first axis, each as soon as no window to come touches it. Memory: a window's depth of the
 * image's cross-section, for each class and once more, beside one batch of windows.
 *
 * @param image [...shape, channels]
 * @param shape voxels along each axis, in the order of the roi
 * @throws RangeError for options or an image that do not fit each other
 */
export async function* slidingWindowSlabs(
  image: Float32Array,
  shape: readonly number[],
  channels: number,
  options: SlidingWindowOptions,
  predict: Predict,
): AsyncGenerator<Slab> {
  check(shape, channels, image.length, options);
  const { roi, batch = 1, overlap = 0.25, blending = 'constant', sigmaScale = 0.125 } = options;
  const full = shape.map((length, axis) => Math.max(length, roi[axis] as number));
  const before = shape.map((length, axis) => Math.floor(((full[axis] as number) - length) / 2));
  const source = padded(image, shape, full, channels);
  const places = placesOf(full.map((length, axis) => startsOf(length, roi[axis] as number, overlap)));
  const importance = importanceMap(roi, blending, sigmaScale);
  const size = product(roi);
  const width = roi.at(-1) as number;
  const [depth, section] = [roi[0] as number, product(full.slice(1))];
  const buffer = { shape: [depth, ...full.slice(1)], base: 0, weights: new Float32Array(depth * section) };
  let sums: Float32Array | undefined;
  let classes = 0;

  /** What lies before a place on the first axis is done: it is given out, and room is made for what comes. */
  const finish = (until: number): Slab | undefined => {
    const done = until - buffer.base;
    if (done === 0 || sums === undefined) return undefined;
    const values = cropped(done);
    sums.copyWithin(0, done * section * classes);
    sums.fill(0, (depth - done) * section * classes);
    buffer.weights.copyWithin(0, done * section);
    buffer.weights.fill(0, (depth - done) * section);
    buffer.base = until;
    return values;
  };

  /** The means of the first `count` places of the buffer, without what was padded. */
  const cropped = (count: number): Slab | undefined => {
    const first = Math.max(buffer.base, before[0] as number);
    const last = Math.min(buffer.base + count, (before[0] as number) + (shape[0] as number));
    if (last <= first) return undefined;
    const box = [last - first, ...shape.slice(1)];
    const row = box.at(-1) as number;
    const values = new Float32Array(product(box) * classes);
    const from = { shape: buffer.shape, place: [first - buffer.base, ...before.slice(1)] };
    forEachRow(box, from, { shape: box, place: box.map(() => 0) }, (a, b) => {
      for (let i = 0; i < row; i++) {
        const weight = buffer.weights[a + i] as number;
        for (let k = 0; k < classes; k++)
          values[(b + i) * classes + k] = ((sums as Float32Array)[(a + i) * classes + k] as number) / weight;
      }
    });
    return { start: first - (before[0] as number), length: last - first, classes, values };
  };

  for (let next = 0; next < places.length; next += batch) {
    const group = places.slice(next, next + batch);
    const windows = new Float32Array(group.length * size * channels);
    for (const [i, place] of group.entries()) {
      forEachRow(roi, { shape: full, place }, { shape: roi, place: roi.map(() => 0) }, (from, to) =>
        windows.set(source.subarray(from * channels, (from + width) * channels), (i * size + to) * channels),
      );
    }
    const predictions = await predict(windows, group.length);
    classes = predictions.length / group.length / size;
    if (!Number.isInteger(classes))
      throw new RangeError(`${predictions.length} values were predicted for ${group.length} windows of [${roi}]`);
    sums ??= new Float32Array(depth * section * classes);
    for (const [i, place] of group.entries()) {
      const slab = finish(place[0] as number);
      if (slab) yield slab;
      const target = { shape: buffer.shape, place: [(place[0] as number) - buffer.base, ...place.slice(1)] };
      accumulate(predictions, i * size, target);
    }
  }
  const rest = finish(buffer.base + depth);
  if (rest) yield rest;

  function accumulate(predictions: Float32Array, offset: number, target: { shape: number[]; place: number[] }): void {
    const total = sums as Float32Array;
    forEachRow(roi, { shape: roi, place: roi.map(() => 0) }, target, (from, to) => {
      for (let i = 0; i < width; i++) {
        const weight = importance[from + i] as number;
        buffer.weights[to + i] = (buffer.weights[to + i] as number) + weight;
        for (let k = 0; k < classes; k++) {
          const cell = (to + i) * classes + k;
          const value = predictions[(offset + from + i) * classes + k] as number;
          total[cell] = (total[cell] as number) + weight * value;
        }
      }
    });
  }
}

/**
 * Predictions of a whole image: [...shape, classes].
 *
 * @throws RangeError for options or an image that do not fit each other
 */
export async function slidingWindow(
  image: Float32Array,
  shape: readonly number[],
  channels: number,
  options: SlidingWindowOptions,
  predict: Predict,
): Promise<{ values: Float32Array; classes: number }> {
  const section = product(shape.slice(1));
  let result: Float32Array | undefined;
  let known = 0;
  for await (const { start, classes, values } of slidingWindowSlabs(image, shape, channels, options, predict)) {
    known = classes;
    result ??= new Float32Array(product(shape) * classes);
    result.set(values, start * section * classes);
  }
  return { values: result as Float32Array, classes: known };
}
