// Reshape, transpose, concatenate and split with gradients that never name the batch dimension: in a graph it is -1, not yet known.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { differentiable, filled, float32, int, int32, op, ops, vector, whole } from './op';

/** The shape with its first dimension left to TensorFlow to infer. */
function anyBatch(shape: readonly number[]): number[] {
  return [-1, ...shape.slice(1)];
}

/** `reshape` without a gradient: for the functions of `differentiable`, and for what has no shape in a graph yet. */
export function rawReshape(x: Tensor, shape: readonly number[]): Tensor {
  return op('Reshape', [x, vector(shape)], { T: float32, Tshape: int32 });
}

/**
 * The same values in another shape.
 *
 * @param shape at most one dimension may be -1; give it to the one that holds the batch
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  const original = x.shape[0] === -1 ? anyBatch(x.shape) : x.shape;
  return differentiable(
    [x],
    ([x]) => rawReshape(x, shape),
    (dy) => [rawReshape(dy, original)],
  );
}

function rawTranspose(x: Tensor, permutation: readonly number[]): Tensor {
  return op('Transpose', [x, vector(permutation)], { T: float32, Tperm: int32 });
}

export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return differentiable(
    [x],
    ([x]) => rawTranspose(x, permutation),
    (dy) => [rawTranspose(dy, inverse)],
  );
}

function rawSplit(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const attributes = { T: float32, Tlen: int32, num_split: int(sizes.length) };
  return ops('SplitV', [x, vector(sizes), whole(axis)], attributes, sizes.length);
}

/** Joins tensors along an axis; their gradients are the parts of the whole's. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  if (tensors.length === 1) return tensors[0] as Tensor;
  const sizes = tensors.map((tensor) => tensor.shape[axis] as number);
  return differentiable(
    [...tensors],
    (tensors) => op('ConcatV2', [...tensors, whole(axis)], { T: float32, Tidx: int32, N: int(tensors.length) }),
    (dy) => rawSplit(dy, sizes, axis),
  );
}

type Sides = readonly (readonly [before: number, after: number])[];

function rawPad(x: Tensor, sides: Sides, value = 0): Tensor {
  const table = tf.tensor2d(sides as [number, number][], [x.rank, 2], 'int32');
  return op('PadV2', [x, table, tf.scalar(value)], { T: float32, Tpaddings: int32 });
}

function rawSlice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor {
  return op('Slice', [x, vector(begin), vector(size)], { T: float32, Index: int32 });
}

/** Puts `value` before and after each axis; the first must not be padded. */
export function pad(x: Tensor, sides: Sides, value = 0): Tensor {
  return differentiable(
    [x],
    ([x]) => rawPad(x, sides, value),
    (dy) => [
      rawSlice(
        dy,
        sides.map(([before]) => before),
        anyBatch(x.shape),
      ),
    ],
  );
}

/** Mirrors what is next to each edge beyond it, without the edge itself, as PyTorch's ReflectionPad does. */
export function padReflect(x: Tensor, sides: Sides): Tensor {
  const attributes = { T: float32, Tpaddings: int32, mode: 'REFLECT' };
  const table = () => tf.tensor2d(sides as [number, number][], [x.rank, 2], 'int32');
  return differentiable(
    [x],
    ([x]) => op('MirrorPad', [x, table()], attributes),
    (dy) => [op('MirrorPadGrad', [dy, table()], attributes)],
  );
}

/**
 * Part of a tensor: of each axis after the first `sizes` entries from `begin` on; of those that are not told, all.
 */
export function slice(x: Tensor, begin: readonly number[], sizes: readonly number[]): Tensor {
  const lengths = x.shape.slice(1).map((length, axis) => sizes[axis] ?? length);
  const from = lengths.map((_, axis) => begin[axis] ?? 0);
  const sides = lengths.map((length, axis) => {
    const before = from[axis] as number;
    return [before, (x.shape[axis + 1] as number) - before - length] as const;
  });
  if (sides.every(([before, after]) => before === 0 && after === 0)) return x;
  return differentiable(
    [x],
    ([x]) => rawSlice(x, [0, ...from], [-1, ...lengths]),
    (dy) => [rawPad(dy, [[0, 0], ...sides])],
  );
}

/** The leading `sizes` of the axes after the first: [N, A, B, ...] -> [N, sizes...]. */
export function crop(x: Tensor, sizes: readonly number[]): Tensor {
  return slice(x, [], sizes);
}

/** The first entry of the second axis, without that axis: [N, S, ...] -> [N, ...]; of tokens, the first of each sequence. */
export function first(x: Tensor): Tensor {
  const rest = x.shape.slice(2);
  return reshape(crop(x, [1, ...rest]), [-1, ...rest]);
}

/** Adds the same tensor to each of a batch: [N, ...] + [1, ...]. (The gradient of tfjs's add takes an unknown N for 1.) */
export function addToEach(x: Tensor, same: Tensor): Tensor {
  return differentiable(
    [x, same],
    ([x, same]) => x.add(same),
    (dy) => [dy, dy.sum(0, true)],
  );
}

/** Adds what is not learned and is broadcast to x. */
export function addConstant(x: Tensor, constant: Tensor): Tensor {
  return differentiable(
    [x],
    ([x]) => x.add(constant),
    (dy) => [dy],
  );
}

/** x itself; the gradient of a parameter that has no influence on what follows is zero. */
export function ignoring(x: Tensor, parameter: Tensor): Tensor {
  return differentiable(
    [x, parameter],
    ([x]) => op('Identity', [x], { T: float32 }),
    (dy) => [dy, filled(parameter.shape, 0)],
  );
}

/** Moves the entries of axes round in a circle: those that leave at one end come in at the other. */
export function roll(x: Tensor, shifts: readonly number[], axes: readonly number[]): Tensor {
  const rolled = (x: Tensor, by: readonly number[]) =>
    op('Roll', [x, vector(by), vector(axes)], { T: float32, Tshift: int32, Taxis: int32 });
  return differentiable(
    [x],
    ([x]) => rolled(x, shifts),
    (dy) => [
      rolled(
        dy,
        shifts.map((shift) => -shift),
      ),
    ],
  );
}

/** The entries of an axis in another order. */
export function reorder(x: Tensor, order: readonly number[], axis: number): Tensor {
  const taken = (x: Tensor, order: readonly number[]) =>
    op('GatherV2', [x, vector(order), whole(axis)], { Tparams: float32, Tindices: int32, Taxis: int32 });
  return differentiable(
    [x],
    ([x]) => taken(x, order),
    (dy) => [
      taken(
        dy,
        order.map((_, place) => order.indexOf(place)),
      ),
    ],
  );
}

/**
 * Rows of a table by their numbers.
 *
 * @param table [R, C]
 * @param rows int32 [M]
 * @returns [M, C]
 */
export function lookUp(table: Tensor, rows: Tensor): Tensor {
  return differentiable(
    [table],
    ([table], save) => {
      save([rows]);
      return op('GatherV2', [table, rows, whole(0)], { Tparams: float32, Tindices: int32, Taxis: int32 });
    },
    (dy, [rows]) => [
      op('UnsortedSegmentSum', [dy, rows as Tensor, whole(table.shape[0] as number)], {
        ...{ T: float32, Tindices: int32, Tnumsegments: int32 },
      }),
    ],
  );
}
