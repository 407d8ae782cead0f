// Swin transformer (Liu et al., https://arxiv.org/abs/2103.14030) in 2D and 3D, the encoder of SwinUNETR: MONAI's architecture and names.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Values } from '../compiler/runtime';
import { UserError } from '../errors';
import { tf } from '../native/tensorflow';
import { crop, lookUp, pad, reorder, reshape, roll, transpose } from '../ops/layout';
import { selfAttention } from '../ops/linear';
import { layerNorm } from '../ops/normalization';
import { filled, whole } from '../ops/op';
import { windowSoftmax } from '../ops/window-softmax';
import { checkpointed } from './checkpointing';
import {
  convolution,
  dense,
  dropping,
  droppingPath,
  layerNormalization,
  perceptron,
  type SpatialDims,
  sequential,
} from './layers';
import type { Initializer, Layer, Pass, Scope } from './network';

export interface SwinOptions {
  readonly inChannels: number;
  readonly spatialDims: SpatialDims;
  /** Width of a token; each level below has twice as much. */
  readonly featureSize: number;
  /** Sides of a patch, which becomes a token. */
  readonly patchSize: number;
  /** Blocks of each level. */
  readonly depths: readonly number[];
  /** Attention heads of each level. */
  readonly heads: readonly number[];
  /** Sides of a window, tokens. */
  readonly windowSize: number;
  readonly qkvBias: boolean;
  /** Width of the hidden layer of each block's perceptron, in token widths. */
  readonly mlpRatio: number;
  /** Share of activations that are dropped. */
  readonly dropout: number;
  /** Share of attention weights that are dropped. */
  readonly attentionDropout: number;
  /** Share of samples whose branch is dropped in the last block; it grows evenly from 0 in the first. */
  readonly dropPath: number;
}

/** Cuts a volume of tokens into windows, which may be shifted by a part of their size. */
interface Windows {
  /** Sides of a window. */
  readonly sides: readonly number[];
  readonly shift: readonly number[];
  /** Sides of the volume, filled up to whole windows. */
  readonly whole: readonly number[];
}

const product = (numbers: readonly number[]) => numbers.reduce((size, number) => size * number, 1);

/** All combinations of one whole number below each of the lengths, the last changing fastest. */
function positions(lengths: readonly number[]): number[][] {
  return lengths.reduce<number[][]>(
    (before, length) => before.flatMap((place) => Array.from({ length }, (_, index) => [...place, index])),
    [[]],
  );
}

/** Windows no larger than the volume, and not shifted along an axis where one holds all. */
function windowsOf(volume: readonly number[], size: number, shifted: boolean): Windows {
  const sides = volume.map((length) => Math.min(length, size));
  return {
    sides,
    shift: volume.map((length) => (shifted && length > size ? Math.floor(size / 2) : 0)),
    whole: volume.map((length, axis) => Math.ceil(length / (sides[axis] as number)) * (sides[axis] as number)),
  };
}

/** [N, ...whole, C] -> [N * windows, tokens, C] */
function partition(x: Tensor, { sides, whole }: Windows): Tensor {
  const channels = x.shape.at(-1) as number;
  const count = sides.length;
  const cut = whole.flatMap((length, axis) => [length / (sides[axis] as number), sides[axis] as number]);
  const order = [...sides.map((_, axis) => 2 * axis + 1), ...sides.map((_, axis) => 2 * axis + 2)];
  const apart = transpose(reshape(x, [-1, ...cut, channels]), [0, ...order, 2 * count + 1]);
  return reshape(apart, [-1, product(sides), channels]);
}

/** [N * windows, tokens, C] -> [N, ...whole, C] */
function join(x: Tensor, { sides, whole }: Windows): Tensor {
  const channels = x.shape.at(-1) as number;
  const count = sides.length;
  const cut = [...whole.map((length, axis) => length / (sides[axis] as number)), ...sides];
  const order = sides.flatMap((_, axis) => [axis + 1, count + axis + 1]);
  const together = transpose(reshape(x, [-1, ...cut, channels]), [0, ...order, 2 * count + 1]);
  return reshape(together, [-1, ...whole, channels]);
}

/**
 * For each token of each window the region that it comes from; shifted windows hold regions that are not neighbours, and attention stays
 * within one. Undefined where there is but one region.
 */
function regionsOf({ sides, shift, whole }: Windows): number[][] | undefined {
  if (shift.every((step) => step === 0)) return undefined;
  /** Whether a place came in at this end of the axis when it was shifted: it is then no neighbour of the others of its window. */
  const cameRound = (place: number, axis: number) => place >= (whole[axis] as number) - (shift[axis] as number);
  const windows = positions(whole.map((length, axis) => length / (sides[axis] as number)));
  return windows.map((window) =>
    positions(sides).map((token) =>
      token.reduce((code, place, axis) => {
        return 2 * code + Number(cameRound((window[axis] as number) * (sides[axis] as number) + place, axis));
      }, 0),
    ),
  );
}

/** A number for each token of a full window such that the difference of two tells how they lie to each other. */
function places(axes: number, size: number): number[] {
  return positions(new Array<number>(axes).fill(size)).map((token) =>
    token.reduce((code, place) => code * (2 * size - 1) + place, 0),
  );
}

/** The row of the table that the first place of the last token is at: the largest difference below zero becomes row 0. */
function origin(codes: readonly number[]): number {
  return codes.at(-1) as number;
}

/** What MONAI keeps in its state dict: the table's row for each pair of tokens of a full window. */
function relativePositionIndex(axes: number, size: number): Values {
  const codes = places(axes, size);
  const rows = codes.flatMap((a) => codes.map((b) => BigInt(a - b + origin(codes))));
  return { shape: [codes.length, codes.length], data: BigInt64Array.from(rows) };
}

const SMALL: Initializer = { kind: 'normal', deviation: 0.02 };

/** The bias of each head for each pair of tokens, [heads, tokens, tokens], by how they lie to each other. */
function relativePositionBias(scope: Scope, heads: number, { spatialDims, windowSize }: SwinOptions) {
  const codes = places(spatialDims, windowSize);
  const table = scope.parameter('relative_position_bias_table', [(2 * windowSize - 1) ** spatialDims, heads], SMALL);
  return (tokens: number, pass: Pass): Tensor => {
    // of a smaller window the first rows and columns, as in MONAI
    const code = codes.slice(0, tokens);
    const rows = tf
      .tensor2d(code, [tokens, 1], 'int32')
      .add(whole(origin(codes)))
      .sub(tf.tensor2d(code, [1, tokens], 'int32'))
      .reshape([tokens * tokens]);
    const found = lookUp(pass.parameter(table), rows);
    return reshape(transpose(found, [1, 0]), [heads, tokens, tokens]);
  };
}

type Attention = (windows: Tensor, regions: readonly number[][] | undefined, pass: Pass) => Tensor;

function windowAttention(scope: Scope, width: number, heads: number, options: SwinOptions): Attention {
  const biasOf = relativePositionBias(scope, heads, options);
  const qkv = dense(scope.at('qkv'), width, 3 * width, { bias: options.qkvBias });
  const dropWeights = dropping(scope, options.attentionDropout);
  const project = sequential(dense(scope.at('proj'), width, width), dropping(scope, options.dropout));
  return (x, regions, pass) => {
    const bias = biasOf(x.shape[1] as number, pass);
    const attend = (scores: Tensor) => windowSoftmax(scores, bias, regions);
    return project(
      selfAttention(qkv(x, pass), heads, { change: (weights) => dropWeights(weights, pass), attend }),
      pass,
    );
  };
}

interface BlockShape {
  readonly width: number;
  readonly heads: number;
  readonly shifted: boolean;
  readonly dropPath: number;
}

/** Attention within windows, on normalised tokens and added to them. */
function attending(scope: Scope, { width, heads, shifted, dropPath }: BlockShape, options: SwinOptions): Layer {
  const norm1 = layerNormalization(scope.at('norm1'), width);
  const attention = windowAttention(scope.at('attn'), width, heads, options);
  const drop = droppingPath(scope, dropPath);
  const attend: Layer = (x, pass) => {
    const volume = x.shape.slice(1, -1);
    const axes = volume.map((_, axis) => axis + 1);
    const windows = windowsOf(volume, options.windowSize, shifted);
    const moved = windows.shift.some((step) => step > 0);
    const sides = volume.map((length, axis) => [0, (windows.whole[axis] as number) - length] as const);
    const padded = sides.some(([, after]) => after > 0);
    const normalized = norm1(x, pass);
    const full = padded ? pad(normalized, [[0, 0], ...sides, [0, 0]]) : normalized;
    const back = windows.shift.map((step) => -step);
    const attended = attention(partition(moved ? roll(full, back, axes) : full, windows), regionsOf(windows), pass);
    const joined = join(attended, windows);
    return crop(moved ? roll(joined, windows.shift, axes) : joined, x.shape.slice(1));
  };
  return (x, pass) => x.add(drop(attend(x, pass), pass));
}

/** A perceptron on normalised tokens, added to them. */
function thinking(scope: Scope, { width, dropPath }: BlockShape, options: SwinOptions): Layer {
  const hidden = Math.floor(width * options.mlpRatio);
  const think = sequential(
    layerNormalization(scope.at('norm2'), width),
    perceptron(scope.at('mlp'), ['linear1', 'linear2'], width, hidden, options.dropout),
    droppingPath(scope, dropPath),
  );
  return (x, pass) => x.add(think(x, pass));
}

function swinBlock(scope: Scope, shape: BlockShape, options: SwinOptions): Layer {
  return sequential(
    checkpointed(scope, () => attending(scope, shape, options)),
    checkpointed(scope, () => thinking(scope, shape, options)),
  );
}

/** In which order MONAI lists the corners of a 2 x 2 x 2 cube (its PatchMerging of version 0.9.0), or of a square. */
const CORNERS = {
  2: [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ],
  3: [
    ...[
      [0, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    ...[
      [1, 1, 0],
      [1, 0, 1],
      [0, 1, 1],
      [1, 1, 1],
    ],
  ],
} as const;

/** Neighbouring tokens, 2 along each axis, become one of twice their width. */
function patchMerging(scope: Scope, width: number, spatialDims: SpatialDims): Layer {
  const corners = 2 ** spatialDims;
  const normalize = layerNormalization(scope.at('norm'), corners * width);
  const reduce = dense(scope.at('reduction'), corners * width, 2 * width, { bias: false });
  const order = CORNERS[spatialDims].map((corner) => corner.reduce<number>((code, bit) => 2 * code + bit, 0));
  return (x, pass) => {
    const half = x.shape.slice(1, -1).map((length) => length / 2);
    const cut = reshape(x, [-1, ...half.flatMap((length) => [length, 2]), width]);
    const axes = half.map((_, axis) => axis);
    const gathered = transpose(cut, [
      0,
      ...axes.map((axis) => 2 * axis + 1),
      ...axes.map((axis) => 2 * axis + 2),
      2 * spatialDims + 1,
    ]);
    const listed = reorder(reshape(gathered, [-1, ...half, corners, width]), order, spatialDims + 1);
    return reduce(normalize(reshape(listed, [-1, ...half, corners * width]), pass), pass);
  };
}

/** Layer normalisation without parameters, as MONAI gives the features of each level to its decoder. */
function plainNorm(x: Tensor): Tensor {
  const width = x.shape.at(-1) as number;
  return layerNorm(x, filled([width], 1), filled([width], 0));
}

export interface Swin {
  /** [N, ...spatial, C] -> features of the patches and of each level, [N, ...spatial / 2^i, featureSize * 2^i]. */
  readonly features: (images: Tensor, pass: Pass) => Tensor[];
  readonly constants: ReadonlyMap<string, () => Values>;
}

/** @param name of the scope, as it stands before the names of its parameters */
export function swin(scope: Scope, name: string, options: SwinOptions): Swin {
  const { featureSize, depths, heads, patchSize, spatialDims, windowSize } = options;
  if (heads.some((count, index) => (featureSize * 2 ** index) % count !== 0)) {
    throw new UserError(
      `feature_size ${featureSize} cannot be shared evenly among ${heads[0]} heads.`,
      'choose a feature_size that is a multiple of num_heads.',
    );
  }
  const constants = new Map<string, () => Values>();
  const window = { kernel: patchSize, stride: patchSize, bias: true, spatialDims };
  const embed = sequential(
    convolution(scope.at('patch_embed').at('proj'), options.inChannels, featureSize, window),
    dropping(scope, options.dropout),
  );
  const total = depths.reduce((sum, depth) => sum + depth, 0);
  let number = 0;
  const levels = depths.map((depth, index) => {
    const width = featureSize * 2 ** index;
    const path = `layers${index + 1}`;
    const level = scope.at(path).at(0);
    const blocks = Array.from({ length: depth }, (_, block) => {
      const dropPath = total > 1 ? (options.dropPath * number++) / (total - 1) : 0;
      const key = `${name}.${path}.0.blocks.${block}.attn.relative_position_index`;
      constants.set(key, () => relativePositionIndex(spatialDims, windowSize));
      const shape = { width, heads: heads[index] as number, shifted: block % 2 === 1, dropPath };
      return swinBlock(level.at('blocks').at(block), shape, options);
    });
    return sequential(...blocks, patchMerging(level.at('downsample'), width, spatialDims));
  });
  const features = (images: Tensor, pass: Pass) => {
    const tokens = [embed(images, pass)];
    for (const level of levels) tokens.push(level(tokens.at(-1) as Tensor, pass));
    return tokens.map(plainNorm);
  };
  return { features, constants };
}
