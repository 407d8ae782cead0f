// SwinUNETR (Hatamizadeh et al., https://arxiv.org/abs/2201.01266) for segmentation: MONAI's architecture, options and parameter names.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { concat } from '../ops/layout';
import { checkpointed } from './checkpointing';
import {
  activation,
  convolution,
  type Norm,
  normalization,
  requireMultiples,
  type SpatialDims,
  sequential,
  transposedConvolution,
} from './layers';
import { type Layer, type Network, type Pass, Scope } from './network';
import { swin } from './swin';

export interface SwinUNETROptions {
  readonly inChannels: number;
  readonly classes: number;
  /** @default 3 */
  readonly spatialDims?: SpatialDims;
  /** Width of a token, a multiple of 12; each of the four levels below has twice as much. @default 24 */
  readonly featureSize?: number;
  /** Sides of a patch, which becomes a token. @default 2 */
  readonly patchSize?: number;
  /** Blocks of each level. @default [2, 2, 2, 2] */
  readonly depths?: readonly number[];
  /** Attention heads of each level. @default [3, 6, 12, 24] */
  readonly heads?: readonly number[];
  /** Sides of a window, tokens. @default 7 */
  readonly windowSize?: number;
  /** @default true */
  readonly qkvBias?: boolean;
  /** Width of the hidden layer of each block's perceptron, in token widths. @default 4 */
  readonly mlpRatio?: number;
  /** Of the decoder. @default instance */
  readonly norm?: Norm;
  /** Share of activations that are dropped. @default 0 */
  readonly dropout?: number;
  /** Share of attention weights that are dropped. @default 0 */
  readonly attentionDropout?: number;
  /** Share of samples whose branch is dropped in the last block; it grows evenly from 0 in the first. @default 0 */
  readonly dropPath?: number;
}

type Complete = Required<SwinUNETROptions>;

/** Levels of the encoder, which the decoder undoes one by one. */
const LEVELS = 4;

/** Two convolutions with normalisation, added to what came in, which a third brings to as many channels where it must (UnetResBlock). */
function residualBlock(scope: Scope, channels: number, filters: number, { norm, spatialDims }: Complete): Layer {
  const act = activation(scope, 'leakyrelu');
  const conv = (name: string, inputs: number, kernel: number) =>
    convolution(scope.at(name).at('conv'), inputs, filters, { kernel, padding: (kernel - 1) / 2, spatialDims });
  const branch = sequential(
    conv('conv1', channels, 3),
    normalization(scope.at('norm1'), norm, filters, act),
    conv('conv2', filters, 3),
    normalization(scope.at('norm2'), norm, filters),
  );
  if (channels === filters) return (x, pass) => act.apply(branch(x, pass).add(x), pass);
  const shortcut = sequential(conv('conv3', channels, 1), normalization(scope.at('norm3'), norm, filters));
  return (x, pass) => act.apply(branch(x, pass).add(shortcut(x, pass)), pass);
}

/** Doubles the sides and refines what results beside the encoder's features of the same size. */
function upBlock(scope: Scope, channels: number, filters: number, options: Complete) {
  const { spatialDims } = options;
  const window = { kernel: 2, stride: 2, spatialDims };
  const double = transposedConvolution(scope.at('transp_conv').at('conv'), channels, filters, window);
  const refine = residualBlock(scope.at('conv_block'), 2 * filters, filters, options);
  return ([x, skip]: readonly [Tensor, Tensor], pass: Pass): Tensor =>
    refine(concat([double(x, pass), skip], spatialDims + 1), pass);
}

function check({ featureSize, depths, heads }: Complete): void {
  if (featureSize % 12 !== 0) {
    throw new UserError(`the SwinUNETR's feature_size is ${featureSize}.`, 'choose a multiple of 12.');
  }
  if (depths.length !== LEVELS || heads.length !== LEVELS) {
    throw new UserError(
      `the SwinUNETR has ${LEVELS} levels; depths has ${depths.length} numbers, heads ${heads.length}.`,
      `give ${LEVELS} of each.`,
    );
  }
}

/**
 * [N, ...spatial, inChannels] -> logits [N, ...spatial, classes], for sides that are multiples of patchSize ^ 5.
 *
 * @throws UserError when the options contradict each other; when it runs, where a side is no such multiple
 */
export function swinUNETR(options: SwinUNETROptions): Network {
  const complete: Complete = {
    ...{ spatialDims: 3, featureSize: 24, patchSize: 2, depths: [2, 2, 2, 2], heads: [3, 6, 12, 24], windowSize: 7 },
    ...{ qkvBias: true, mlpRatio: 4, norm: { name: 'instance' }, dropout: 0, attentionDropout: 0, dropPath: 0 },
    ...options,
  };
  check(complete);
  const { featureSize: size, inChannels, classes, patchSize, spatialDims } = complete;
  const root = Scope.root();
  const transformer = swin(root.at('swinViT'), 'swinViT', complete);
  const encoder = (name: string, channels: number, filters: number) =>
    checkpointed(root, () => residualBlock(root.at(name).at('layer'), channels, filters, complete));
  const encoders = [
    encoder('encoder1', inChannels, size),
    encoder('encoder2', size, size),
    encoder('encoder3', 2 * size, 2 * size),
    encoder('encoder4', 4 * size, 4 * size),
    // what the third level gives goes into the decoder as it is
    (x: Tensor) => x,
    encoder('encoder10', 16 * size, 16 * size),
  ];
  const decoders = [5, 4, 3, 2, 1].map((number) => {
    const filters = size * 2 ** Math.max(0, number - 2);
    const channels = number === 1 ? size : 2 * filters;
    return checkpointed(root, () => upBlock(root.at(`decoder${number}`), channels, filters, complete));
  });
  const out = convolution(root.at('out').at('conv').at('conv'), size, classes, { kernel: 1, bias: true, spatialDims });
  const forward: Layer = (images, pass) => {
    requireMultiples('SwinUNETR', images, patchSize ** (LEVELS + 1));
    const skips = [images, ...transformer.features(images, pass)].map((features, index) =>
      (encoders[index] as Layer)(features, pass),
    );
    let x = skips.pop() as Tensor;
    for (const decoder of decoders) x = decoder([x, skips.pop() as Tensor], pass);
    return out(x, pass);
  };
  return { parameters: root.parameters, forward, constants: transformer.constants };
}
