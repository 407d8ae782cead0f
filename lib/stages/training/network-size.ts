// How large the networks are: their parameters, and the numbers of one image or volume that a forward pass keeps for the backward pass.
// Each convolution keeps its input, each normalisation its input, each activation its output; each number is counted where it is made.
// test/oracle/training/activation_fixtures.py counts what autograd keeps of MONAI's networks.
import type { Hyperparameters } from '../../../training/hyperparameters';

/** Counts the layers of a network as they follow each other. */
class Size {
  parameters = 0;
  activations = 0;

  /** @param sides of what comes in, without channels */
  constructor(
    private sides: readonly number[],
    private channels: number,
  ) {
    this.keep(channels);
  }

  get width(): number {
    return this.channels;
  }

  /** Of what is counted now, without channels. */
  get lengths(): readonly number[] {
    return this.sides;
  }

  /** Pixels or voxels. */
  get cells(): number {
    return this.sides.reduce((product, side) => product * side, 1);
  }

  /** So many numbers at each pixel or voxel. */
  keep(numbers: number): void {
    this.activations += numbers * this.cells;
  }

  shrink(stride: number): void {
    this.sides = this.sides.map((side) => Math.ceil(side / stride));
  }

  grow(stride: number): void {
    this.sides = this.sides.map((side) => side * stride);
  }

  /** Its output is kept for what follows: a normalisation, an activation, another convolution. */
  convolution(filters: number, kernel: number, { stride = 1, kept = true } = {}): void {
    this.parameters += this.channels * filters * kernel ** this.sides.length;
    this.shrink(stride);
    this.channels = filters;
    if (kept) this.keep(filters);
  }

  /** With the activation behind it. */
  normalization(): void {
    this.parameters += 2 * this.channels;
    this.keep(this.channels);
  }

  /** Goes on from something else that has been counted before. */
  goOnWith(channels: number): void {
    this.channels = channels;
  }

  /** After https://arxiv.org/abs/2205.05198, section 4.1: per token, and per pair of tokens of which one looks at the other. */
  transformerBlock(tokens: number, hidden: number, mlp: number, heads: number, seen: number): void {
    this.parameters += 4 * hidden ** 2 + 2 * hidden * mlp + 9 * hidden + mlp;
    // both normalisations and what they give, queries, keys, values, what is mixed; the perceptron before and after its activation;
    // and what the softmax makes of the scores
    this.activations += tokens * (8 * hidden + 2 * mlp) + heads * tokens * seen;
  }
}

const DENSE_BLOCKS: Readonly<Record<string, readonly number[]>> = {
  densenet121: [6, 12, 24, 16],
  densenet169: [6, 12, 32, 32],
  densenet201: [6, 12, 48, 32],
  densenet264: [6, 12, 64, 48],
};

/** https://arxiv.org/abs/1608.06993, table 1: each layer joins all that came before it into a tensor of its own. */
function densenet(h: Hyperparameters, size: Size): void {
  const blocks = h.block_config ?? (DENSE_BLOCKS[h.model_name] as readonly number[]);
  size.convolution(h.init_features, 7, { stride: 2 });
  size.normalization();
  size.shrink(2);
  size.keep(size.width);
  blocks.forEach((layers, index) => {
    for (let layer = 0; layer < layers; layer++) {
      const before = size.width;
      size.normalization();
      size.convolution(h.bn_size * h.growth_rate, 1);
      size.normalization();
      size.convolution(h.growth_rate, 3, { kept: false });
      size.goOnWith(before + h.growth_rate);
      size.keep(size.width);
    }
    size.normalization();
    if (index === blocks.length - 1) return;
    size.convolution(Math.floor(size.width / 2), 1);
    size.shrink(2);
    size.keep(size.width);
  });
}

const RESIDUAL_LAYERS: Readonly<Record<string, readonly number[]>> = {
  resnet18: [2, 2, 2, 2],
  resnet34: [3, 4, 6, 3],
  resnet50: [3, 4, 6, 3],
};

/** https://arxiv.org/abs/1512.03385, table 1. */
function resnet(h: Hyperparameters, size: Size): void {
  const expansion = h.model_name === 'resnet50' ? 4 : 1;
  size.convolution(64, h.conv1_t_size, { stride: h.conv1_t_stride });
  size.normalization();
  if (!h.no_max_pool) {
    size.shrink(2);
    // with the places of the greatest, as whole numbers
    size.keep(2 * size.width);
  }
  (RESIDUAL_LAYERS[h.model_name] as readonly number[]).forEach((blocks, level) => {
    const planes = 64 * 2 ** level;
    for (let block = 0; block < blocks; block++) {
      const from = size.width;
      const stride = block === 0 && level > 0 ? 2 : 1;
      const kernels = expansion === 1 ? [3, 3] : [1, 3, 1];
      kernels.forEach((kernel, index) => {
        const isLast = index === kernels.length - 1;
        size.convolution(isLast ? planes * expansion : planes, kernel, {
          stride: kernel === 3 && (expansion > 1 || index === 0) ? stride : 1,
        });
        if (!isLast) size.normalization();
      });
      if (stride > 1 || from !== size.width) {
        size.parameters += from * size.width;
        size.keep(size.width);
      }
      // the sum, behind its activation
      size.normalization();
    }
  });
}

/** https://arxiv.org/abs/2010.11929 */
function vit(h: Hyperparameters, size: Size): void {
  const [height = 16, width = height] = h.patch_size;
  const [imageHeight = 224, imageWidth = imageHeight] = h.img_size;
  const tokens = Math.ceil(imageHeight / height) * Math.ceil(imageWidth / width) + 1;
  size.parameters += height * width * size.width * h.hidden_size + tokens * h.hidden_size;
  for (let block = 0; block < h.num_layers; block++)
    size.transformerBlock(tokens, h.hidden_size, h.mlp_dim, h.num_heads, tokens);
}

/** https://arxiv.org/abs/2106.14881 */
function convolutionalVit(h: Hyperparameters, size: Size): void {
  for (const filters of [32, 64, 64]) {
    size.convolution(filters, 3);
    size.normalization();
  }
  size.convolution(128, 3, { stride: 2 });
  size.convolution(h.hidden_size, 3, { stride: 2 });
  const tokens = size.cells + 1;
  size.parameters += tokens * h.hidden_size;
  for (let block = 0; block < h.num_layers; block++)
    size.transformerBlock(tokens, h.hidden_size, h.mlp_dim, h.num_heads, tokens);
}

/** https://arxiv.org/abs/1810.11654, figure 1. */
function segresnet(h: Hyperparameters, size: Size): void {
  const blocks = (count: number) => {
    for (let block = 0; block < count; block++) {
      for (let half = 0; half < 2; half++) {
        size.normalization();
        size.convolution(size.width, 3);
      }
    }
  };
  size.convolution(h.init_filters, 3);
  h.blocks_down.forEach((count, level) => {
    if (level > 0) size.convolution(2 * size.width, 3, { stride: 2 });
    blocks(count);
  });
  for (const count of h.blocks_up) {
    size.convolution(size.width / 2, 1, { kept: h.upsample_mode !== 'nontrainable' });
    size.grow(2);
    // with the features of the way down added
    size.keep(size.width);
    blocks(count);
  }
  size.normalization();
}

/** https://arxiv.org/abs/1505.04597 with the residual units of https://doi.org/10.1007/978-3-030-12029-0_40 */
function unet(h: Hyperparameters, size: Size): void {
  const { channels, strides, num_res_units: units, act } = h;
  const [kernel = 3] = h.kernel_size;
  const [upKernel = 3] = h.up_kernel_size;
  const block = (filters: number, stride: number) => {
    size.convolution(filters, kernel, { stride });
    size.normalization();
    // PReLU keeps its input too
    if (act === 'prelu') size.keep(filters);
  };
  const unit = (filters: number, stride: number, count = Math.max(1, units)) => {
    const from = size.width;
    for (let index = 0; index < count; index++) block(filters, index === 0 ? stride : 1);
    // the shortcut, where it cannot be what came in; the sum is kept instead of what the last activation gives
    if (units > 0 && (stride > 1 || from !== filters))
      size.parameters += from * filters * (stride > 1 ? kernel : 1) ** size.lengths.length;
  };
  strides.forEach((stride, level) => void unit(channels[level] as number, stride));
  unit(channels.at(-1) as number, 1);
  for (let level = strides.length - 1; level >= 0; level--) {
    size.goOnWith(size.width + (channels[level] as number));
    size.keep(size.width);
    const filters = level === 0 ? 2 : (channels[level - 1] as number);
    size.parameters += size.width * filters * upKernel ** size.lengths.length;
    size.grow(strides[level] as number);
    size.goOnWith(filters);
    size.keep(filters);
    // what the activation gives is kept joined, on the level above
    if (level > 0) size.keep(act === 'prelu' && units > 0 ? 2 * filters : filters);
    if (units > 0) unit(filters, 1, 1);
  }
}

/** https://arxiv.org/abs/2201.01266, figure 1: the transformer's five levels, and the convolutions that take and give their features. */
function swinUnetr(h: Hyperparameters, size: Size): void {
  const [patch = 2] = h.patch_size;
  const convolutions = (filters: number) => {
    const from = size.width;
    size.convolution(filters, 3);
    size.normalization();
    size.convolution(filters, 3);
    if (from !== filters) {
      size.parameters += from * filters;
      size.keep(filters);
    }
    size.normalization();
  };
  const encode = (filters: number) => {
    const before = size.width;
    convolutions(filters);
    size.goOnWith(before);
  };
  encode(h.feature_size);
  size.convolution(h.feature_size, patch, { stride: patch });
  h.depths.forEach((depth, level) => {
    const { width } = size;
    if (level < 3) encode(width);
    for (let block = 0; block < depth; block++) windows(h, size, width, level);
    // patches are merged: what is joined, and what is made of it
    size.keep(2 * width);
    size.parameters += (2 ** size.lengths.length - 1) * 2 * width ** 2;
    size.convolution(2 * width, 1, { stride: 2 });
  });
  convolutions(size.width);
  for (const level of [3, 2, 1, 0, 0]) {
    const filters = h.feature_size * 2 ** level;
    size.parameters += size.width * filters * 2 ** size.lengths.length;
    size.grow(2);
    size.goOnWith(2 * filters);
    size.keep(size.width);
    convolutions(filters);
  }
}

/** A transformer block in windows, to multiples of which the sides are padded; a side that is smaller is its own window. */
function windows(h: Hyperparameters, size: Size, width: number, level: number): void {
  const sides = size.lengths.map((side) => {
    const window = Math.min(side, h.window_size);
    return { window, padded: Math.ceil(side / window) * window };
  });
  const tokens = sides.reduce((product, { padded }) => product * padded, 1);
  const seen = sides.reduce((product, { window }) => product * window, 1);
  const heads = h.num_heads * 2 ** level;
  // a bias for each distance between tokens
  size.parameters += heads * (2 * h.window_size - 1) ** sides.length;
  size.transformerBlock(tokens, width, 4 * width, heads, seen);
}

const NETWORKS: Readonly<Record<string, (hyperparameters: Hyperparameters, size: Size) => void>> = {
  ...Object.fromEntries(Object.keys(DENSE_BLOCKS).map((name) => [name, densenet])),
  ...Object.fromEntries(Object.keys(RESIDUAL_LAYERS).map((name) => [name, resnet])),
  ...{ vit, vit_conv: convolutionalVit, segresnet, unet, swinunetr: swinUnetr },
};

/** How large a network is, for one image or volume. */
export interface NetworkSize {
  /** Weights that are learned. */
  readonly parameters: number;
  /** Numbers that the forward pass keeps for the backward pass. */
  readonly activations: number;
}

/** @param sides of an image or a crop, without channels; undefined for a network that is not known */
export function networkSize(
  hyperparameters: Hyperparameters,
  sides: readonly number[],
  channels: number,
): NetworkSize | undefined {
  const count = NETWORKS[hyperparameters.model_name];
  if (!count) return undefined;
  const size = new Size(sides, channels);
  count(hyperparameters, size);
  return { parameters: size.parameters, activations: size.activations };
}
