// Vision transformer (Dosovitskiy et al., https://arxiv.org/abs/2010.11929) for classification: MONAI's architecture, options and names.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { addToEach, concat, crop, first, pad, reshape, transpose } from '../ops/layout';
import { linear, type SeeAttention, selfAttention } from '../ops/linear';
import { filled } from '../ops/op';
import { checkpointed } from './checkpointing';
import { explainByAttention } from './explanation';
import { ACTIVATIONS, defaultUniform, dense, dropping, layerNormalization, perceptron, sequential } from './layers';
import { type Layer, type Network, type Pass, Scope } from './network';

/** The ViT's options, by the paper (https://arxiv.org/abs/2010.11929) and MONAI. */
export interface ViTOptions {
  /** Channels of the images. */
  readonly inChannels: number;
  /** Logits of an image. */
  readonly classes: number;
  /** Height and width of the images, pixels. */
  readonly imageSize: readonly [number, number];
  /** Height and width of a patch, pixels. @default [16, 16] */
  readonly patchSize?: readonly [number, number];
  /** Width of a token. @default 768 */
  readonly hiddenSize?: number;
  /** Width of the hidden layer of each block's perceptron. @default 3072 */
  readonly mlpDim?: number;
  /** @default 12 */
  readonly layers?: number;
  /** @default 12 */
  readonly heads?: number;
  /** @default 0 */
  readonly dropout?: number;
  /** Whether queries, keys and values have a bias. @default false */
  readonly qkvBias?: boolean;
  /** What follows the classification head; MONAI's default bounds the logits. @default Tanh */
  readonly postActivation?: 'Tanh' | 'none';
}

/** Patches down and across an image. */
function gridOf({ imageSize, patchSize }: Required<ViTOptions>): [number, number] {
  return [Math.floor(imageSize[0] / patchSize[0]), Math.floor(imageSize[1] / patchSize[1])];
}

/** The patches of an image, side by side, each through one linear map: a convolution whose stride is its kernel. */
function patchEmbedding(scope: Scope, options: Required<ViTOptions>): Layer {
  const { inChannels, hiddenSize } = options;
  const [rows, columns] = gridOf(options);
  const [height, width] = options.patchSize;
  const inputs = height * width * inChannels;
  const patches = scope.at('patch_embeddings');
  const kernel = [height, width, inChannels, hiddenSize];
  const weight = patches.parameter('weight', kernel, defaultUniform(inputs), { layout: 'kernel' });
  const bias = patches.parameter('bias', [hiddenSize], defaultUniform(inputs));
  return (x, pass) => {
    // what is left over at the right and the bottom is not seen, as with a convolution without padding
    const whole = crop(x, [rows * height, columns * width, inChannels]);
    const grid = transpose(reshape(whole, [-1, rows, height, columns, width, inChannels]), [0, 1, 3, 2, 4, 5]);
    const matrix = transpose(reshape(pass.parameter(weight), [inputs, hiddenSize]), [1, 0]);
    const tokens = reshape(grid, [-1, rows * columns, inputs]);
    return linear(tokens, matrix, pass.parameter(bias), { training: pass.training });
  };
}

/**
 * Self-attention and a perceptron, each on normalised tokens and added to them.
 *
 * @param given the tokens that it gives; of the last block only the class token is looked at
 */
function transformerBlock(scope: Scope, options: Required<ViTOptions>, given: 'all' | 'first') {
  const { hiddenSize, mlpDim, heads, dropout, qkvBias } = options;
  const isLast = given === 'first';
  const mlp = perceptron(scope.at('mlp'), ['linear1', 'linear2'], hiddenSize, mlpDim, dropout);
  const norm1 = layerNormalization(scope.at('norm1'), hiddenSize);
  const attention = scope.at('attn');
  const project = dense(attention.at('out_proj'), hiddenSize, hiddenSize);
  const qkv = dense(attention.at('qkv'), hiddenSize, 3 * hiddenSize, { bias: qkvBias });
  const dropOutput = dropping(scope, dropout);
  const dropWeights = dropping(scope, dropout);
  const norm2 = layerNormalization(scope.at('norm2'), hiddenSize);
  layerNormalization(scope.at('norm_cross_attn'), hiddenSize, 'unused');
  return (x: Tensor, pass: Pass, see?: SeeAttention): Tensor => {
    const drop = (weights: Tensor) => {
      see?.(weights);
      return dropWeights(weights, pass);
    };
    const isDropping = dropout > 0 && pass.training;
    const mixed = selfAttention(qkv(norm1(x, pass), pass), heads, {
      ...(isLast && { queries: 1 }),
      ...((see || isDropping) && { change: drop }),
    });
    const attended = (isLast ? crop(x, [1]) : x).add(dropOutput(project(mixed, pass), pass));
    return attended.add(mlp(norm2(attended, pass), pass));
  };
}

function check({ imageSize, patchSize, hiddenSize, heads }: Required<ViTOptions>): void {
  if (imageSize.some((size, axis) => size < (patchSize[axis] as number))) {
    throw new UserError(
      `the ViT's patches of ${patchSize.join(' x ')} pixels are larger than the images, ${imageSize.join(' x ')}.`,
      'choose a smaller patch_size or a larger img_size.',
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
export function vit(options: ViTOptions): Network {
  const complete: Required<ViTOptions> = {
    patchSize: [16, 16],
    hiddenSize: 768,
    mlpDim: 3072,
    layers: 12,
    heads: 12,
    dropout: 0,
    qkvBias: false,
    postActivation: 'Tanh',
    ...options,
  };
  check(complete);
  const { hiddenSize } = complete;
  const [rows, columns] = gridOf(complete);
  const tokens = rows * columns;
  const root = Scope.root();
  const embedding = root.at('patch_embedding');
  const embed = patchEmbedding(embedding, complete);
  // torch's trunc_normal_ cuts at +-2, a hundred deviations away: a normal distribution
  const position = embedding.parameter('position_embeddings', [1, tokens, hiddenSize], {
    kind: 'normal',
    deviation: 0.02,
  });
  const dropEmbedding = dropping(root, complete.dropout);
  const blocks = Array.from({ length: complete.layers }, (_, index) =>
    checkpointed(root, () =>
      transformerBlock(root.at('blocks').at(index), complete, index === complete.layers - 1 ? 'first' : 'all'),
    ),
  );
  const norm = layerNormalization(root.at('norm'), hiddenSize);
  const classToken = root.parameter('cls_token', [1, 1, hiddenSize], { kind: 'constant', value: 0 });
  const bounded = complete.postActivation === 'Tanh';
  const headScope = bounded ? root.at('classification_head').at(0) : root.at('classification_head');
  const head = sequential(dense(headScope, hiddenSize, complete.classes), bounded ? ACTIVATIONS.tanh : (x) => x);

  /** @param see told of the attention of the last block */
  const classify = (images: Tensor, pass: Pass, see?: SeeAttention): Tensor => {
    const patches = dropEmbedding(addToEach(embed(images, pass), pass.parameter(position)), pass);
    // the class token stands before the patches; put there by addition, for its own shape has no batch
    const token = concat([pass.parameter(classToken), filled([1, tokens, hiddenSize], 0)], 1);
    let sequence = addToEach(
      pad(patches, [
        [0, 0],
        [1, 0],
        [0, 0],
      ]),
      token,
    );
    for (const [index, block] of blocks.entries())
      sequence = block(sequence, pass, index === blocks.length - 1 ? see : undefined);
    return head(first(norm(sequence, pass)), pass);
  };
  const explanation = explainByAttention(classify, [rows, columns]);
  return { parameters: root.parameters, forward: (images, pass) => classify(images, pass), explanation };
}
