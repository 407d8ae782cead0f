// Vision transformer with a convolutional stem (Xiao et al., https://arxiv.org/abs/2106.14881) for classification of small images: three
// 3 x 3 convolutions with batch normalisation, two that halve the sides, and pre-norm transformer blocks on what remains.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { addToEach, concat, crop, first, pad, reshape } from '../ops/layout';
import { type SeeAttention, selfAttention } from '../ops/linear';
import { filled } from '../ops/op';
import { checkpointed } from './checkpointing';
import { explainByAttention } from './explanation';
import {
  ACTIVATIONS,
  batchNormalization,
  type ConvolutionOptions,
  convolution,
  dense,
  dropping,
  layerNormalization,
  requireMultiples,
  sequential,
} from './layers';
import { type Initializer, type Layer, type Network, type Pass, Scope } from './network';

export interface ConvStemViTOptions {
  readonly inChannels: number;
  readonly classes: number;
  /** Height and width of the images, pixels: multiples of 4. */
  readonly imageSize: readonly [number, number];
  /** Filters of the stem's first four convolutions; the fifth makes tokens. @default [32, 64, 64, 128] */
  readonly stem?: readonly [number, number, number, number];
  /** Width of a token. @default 256 */
  readonly hiddenSize?: number;
  /** Width of the hidden layer of each block's perceptron. @default 1024 */
  readonly mlpDim?: number;
  /** Transformer blocks. @default 6 */
  readonly layers?: number;
  /** @default 8 */
  readonly heads?: number;
  /** Share of activations that are dropped after each attention and perceptron. @default 0 */
  readonly dropout?: number;
}

type Complete = Required<ConvStemViTOptions>;

/** How much smaller the grid of tokens is than the image. */
const REDUCTION = 4;

/** The deviation at which ViTs begin; PyTorch cuts at +-2, a hundred deviations away: a normal distribution. */
const SMALL: Initializer = { kind: 'normal', deviation: 0.02 };

/** [N, H, W, inChannels] -> [N, H / 4, W / 4, hiddenSize]; numbered as in the nn.Sequential that it is in PyTorch. */
function convolutionalStem(scope: Scope, { inChannels, stem, hiddenSize }: Complete): Layer {
  const layers: Layer[] = [];
  let channels = inChannels;
  const conv = (index: number, filters: number, options: Partial<ConvolutionOptions>) => {
    layers.push(convolution(scope.at(index), channels, filters, { kernel: 3, padding: 1, ...options }));
    channels = filters;
  };
  for (const [i, filters] of stem.slice(0, 3).entries()) {
    conv(3 * i, filters, {});
    layers.push(batchNormalization(scope.at(3 * i + 1), filters, 'relu'));
  }
  conv(9, stem[3], { stride: 2, bias: true });
  layers.push(ACTIVATIONS.relu);
  conv(11, hiddenSize, { stride: 2, bias: true });
  return sequential(...layers);
}

/**
 * Self-attention and a perceptron, each on normalised tokens and added to them.
 *
 * @param given the tokens that it gives; of the last block only the class token is looked at
 */
function transformerBlock(scope: Scope, { hiddenSize, mlpDim, heads, dropout }: Complete, given: 'all' | 'first') {
  const isLast = given === 'first';
  const qkv = sequential(
    layerNormalization(scope.at('norm1'), hiddenSize),
    dense(scope.at('qkv'), hiddenSize, 3 * hiddenSize),
  );
  const project = sequential(dense(scope.at('proj'), hiddenSize, hiddenSize), dropping(scope, dropout));
  const think = sequential(
    layerNormalization(scope.at('norm2'), hiddenSize),
    dense(scope.at('fc1'), hiddenSize, mlpDim),
    dense(scope.at('fc2'), mlpDim, hiddenSize, { gelu: true }),
    dropping(scope, dropout),
  );
  return (x: Tensor, pass: Pass, see?: SeeAttention): Tensor => {
    const seen = (weights: Tensor) => {
      see?.(weights);
      return weights;
    };
    const mixed = selfAttention(qkv(x, pass), heads, { ...(isLast && { queries: 1 }), ...(see && { change: seen }) });
    const attended = (isLast ? crop(x, [1]) : x).add(project(mixed, pass));
    return attended.add(think(attended, pass));
  };
}

function check({ imageSize, hiddenSize, heads }: Complete): void {
  if (imageSize.some((size) => size % REDUCTION !== 0)) {
    throw new UserError(
      `the ViT with a convolutional stem takes images whose sides are multiples of ${REDUCTION}; these are ${imageSize.join(' x ')}.`,
      'choose another img_size.',
    );
  }
  if (hiddenSize % heads !== 0) {
    throw new UserError(
      `hidden_size ${hiddenSize} cannot be shared evenly among ${heads} heads.`,
      'choose a hidden_size that is a multiple of num_heads.',
    );
  }
}

/**
 * [N, H, W, inChannels] -> logits [N, classes]
 *
 * @throws UserError when the sizes do not divide
 */
export function convStemViT(options: ConvStemViTOptions): Network {
  const complete: Complete = {
    stem: [32, 64, 64, 128],
    hiddenSize: 256,
    mlpDim: 1024,
    layers: 6,
    heads: 8,
    dropout: 0,
    ...options,
  };
  check(complete);
  const { hiddenSize, imageSize, layers, classes } = complete;
  const grid = imageSize.map((side) => side / REDUCTION) as [number, number];
  const tokens = grid[0] * grid[1];
  const root = Scope.root();
  const classToken = root.parameter('cls', [1, 1, hiddenSize], SMALL);
  const position = root.parameter('pos', [1, tokens + 1, hiddenSize], SMALL);
  const stem = convolutionalStem(root.at('stem'), complete);
  const blocks = Array.from({ length: layers }, (_, index) =>
    checkpointed(root, () =>
      transformerBlock(root.at('blocks').at(index), complete, index === layers - 1 ? 'first' : 'all'),
    ),
  );
  const summarise = sequential(layerNormalization(root.at('norm'), hiddenSize), first);
  const head = dense(root.at('head'), hiddenSize, classes);

  /** The class token stands before the patches; put there by addition, for its own shape has no batch. */
  const withClassToken = (patches: Tensor, pass: Pass): Tensor => {
    const room = [[0, 0] as const, [1, 0] as const, [0, 0] as const];
    const token = concat([pass.parameter(classToken), filled([1, tokens, hiddenSize], 0)], 1);
    return addToEach(pad(patches, room), token.add(pass.parameter(position)));
  };
  /** @param see told of the attention of the last block */
  const classify = (images: Tensor, pass: Pass, see?: SeeAttention): Tensor => {
    requireMultiples('ViT with a convolutional stem', images, REDUCTION);
    const patches = reshape(stem(images, pass), [-1, tokens, hiddenSize]);
    let sequence = withClassToken(patches, pass);
    for (const [index, block] of blocks.entries())
      sequence = block(sequence, pass, index === blocks.length - 1 ? see : undefined);
    return head(summarise(sequence, pass), pass);
  };
  const explanation = explainByAttention(classify, grid);
  return { parameters: root.parameters, forward: (images, pass) => classify(images, pass), explanation };
}
