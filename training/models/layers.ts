// Layers as networks compose them: each declares its parameters under PyTorch's names, initialised as PyTorch does, and gives a function.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { gelu, prelu, relu } from '../ops/activation';
import { avgPool, convolve, maxPool, type PerAxis, perAxis, transposedConvolve, type Window } from '../ops/convolution';
import { groupNorm } from '../ops/group-normalization';
import { ignoring } from '../ops/layout';
import { biasAdd, linear } from '../ops/linear';
import { batchNorm, layerNorm, type Statistics } from '../ops/normalization';
import { normalizedConv2d } from '../ops/normalized-convolution';
import { filled } from '../ops/op';
import { dropout, dropPath } from '../ops/random';
import { blur, pixelShuffle, resizeLinear } from '../ops/resize';
import type { Initializer, Layer, ParameterSpec, Pass, Scope } from './network';

/** Whether a network sees images (2) or volumes (3). */
export type SpatialDims = 2 | 3;

const ZEROS: Initializer = { kind: 'constant', value: 0 };
const ONES: Initializer = { kind: 'constant', value: 1 };

/** PyTorch's default for the weights and biases of linear and convolutional layers: kaiming_uniform_(a = sqrt(5)). */
export function defaultUniform(fanIn: number): Initializer {
  return { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) };
}

/** torch.nn.init.kaiming_normal_ with its defaults (He et al., https://arxiv.org/abs/1502.01852). */
export function kaimingNormal(fanIn: number): Initializer {
  return { kind: 'normal', deviation: Math.sqrt(2 / fanIn) };
}

export function sequential(...layers: readonly Layer[]): Layer {
  return (x, pass) => layers.reduce((y, layer) => layer(y, pass), x);
}

/** torch.nn.init.kaiming_normal_ with mode="fan_out". */
export function kaimingNormalOfOutputs(_fanIn: number, fanOut: number): Initializer {
  return kaimingNormal(fanOut);
}

export interface ConvolutionOptions extends Window {
  readonly kernel: PerAxis;
  /** @default 2 */
  readonly spatialDims?: SpatialDims;
  /**
   * - true, false: whether there is one
   * - cancelled: there is one that changes nothing, for an instance normalisation follows; it is not even added
   * @default false
   */
  readonly bias?: boolean | 'cancelled';
  /** @default PyTorch's */
  readonly initial?: (fanIn: number, fanOut: number) => Initializer;
}

const volumeOf = (sizes: readonly number[]) => sizes.reduce((product, size) => product * size, 1);

/** Declares the kernel of a convolution, [...sizes, channels, filters]. */
function kernelOf(
  scope: Scope,
  sizes: readonly number[],
  channels: number,
  filters: number,
  initial: (fanIn: number, fanOut: number) => Initializer,
): string {
  const start = initial(volumeOf(sizes) * channels, volumeOf(sizes) * filters);
  return scope.parameter('weight', [...sizes, channels, filters], start, { layout: 'kernel' });
}

/** torch.nn.Conv2d or Conv3d */
export function convolution(scope: Scope, channels: number, filters: number, options: ConvolutionOptions): Layer {
  const { kernel, spatialDims = 2, bias = false, initial = defaultUniform, ...window } = options;
  const sizes = perAxis(kernel, spatialDims);
  const weight = kernelOf(scope, sizes, channels, filters, initial);
  const withBias = biasLayer(scope, filters, volumeOf(sizes) * channels, bias);
  return (x, pass) => withBias(convolve(x, pass.parameter(weight), window), pass);
}

function biasLayer(scope: Scope, filters: number, fanIn: number, bias: ConvolutionOptions['bias']): Layer {
  if (!bias) return (x) => x;
  const offset = scope.parameter('bias', [filters], defaultUniform(fanIn));
  const add = bias === 'cancelled' ? ignoring : biasAdd;
  return (x, pass) => add(x, pass.parameter(offset));
}

export interface TransposedConvolutionOptions extends Omit<ConvolutionOptions, 'initial'> {
  readonly outputPadding?: PerAxis;
}

/** torch.nn.ConvTranspose2d or ConvTranspose3d */
export function transposedConvolution(
  scope: Scope,
  channels: number,
  filters: number,
  options: TransposedConvolutionOptions,
): Layer {
  const { kernel, spatialDims = 2, bias = false, ...window } = options;
  const sizes = perAxis(kernel, spatialDims);
  // PyTorch takes the second axis of [in, out, ...size] for the inputs here too
  const fanIn = sizes.reduce((product, size) => product * size, filters);
  const shape = [...sizes, filters, channels];
  const weight = scope.parameter('weight', shape, defaultUniform(fanIn), { layout: 'kernel' });
  const withBias = biasLayer(scope, filters, fanIn, bias);
  return (x, pass) => withBias(transposedConvolve(x, pass.parameter(weight), window), pass);
}

/** A layer that also takes several tensors, which stand for their concatenation along the channels. */
export type ConcatenatingLayer = (x: Tensor | readonly Tensor[], pass: Pass) => Tensor;

/** Declares what torch.nn.BatchNorm2d has, and gives it for a pass; `update` where the batch's own statistics are used and noted. */
function batchNormParameters(scope: Scope, channels: number) {
  scope.parameter('weight', [channels], ONES);
  scope.parameter('bias', [channels], ZEROS);
  scope.parameter('running_mean', [channels], ZEROS, { role: 'buffer' });
  scope.parameter('running_var', [channels], ONES, { role: 'buffer' });
  return batchNormOf(scope);
}

/** Gives a batch normalisation that is declared in a scope, for a pass. */
export function batchNormOf(scope: Scope) {
  const [scale, offset, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
    scope.nameOf(name),
  ) as [string, string, string, string];
  return (pass: Pass) => {
    const update = (statistics: Statistics) => {
      pass.assign(mean, statistics.mean);
      pass.assign(variance, statistics.variance);
    };
    return {
      affine: { scale: pass.parameter(scale), offset: pass.parameter(offset) },
      running: { mean: pass.parameter(mean), variance: pass.parameter(variance) },
      ...(pass.training && { update }),
    };
  };
}

/** torch.nn.BatchNorm2d or BatchNorm3d, followed by an activation: a ReLU is done in the same go. */
export function batchNormalization(scope: Scope, channels: number, activation?: ActivationName): ConcatenatingLayer {
  const parameters = batchNormParameters(scope, channels);
  const relu = activation === 'relu';
  const normalize: ConcatenatingLayer = (x, pass) => {
    const { affine, running, ...update } = parameters(pass);
    return batchNorm(x, affine, running, { relu, ...update });
  };
  if (relu || activation === undefined) return normalize;
  return (x, pass) => ACTIVATIONS[activation](normalize(x, pass));
}

/** Normalisations by the names that MONAI gives them. */
export const NORMS = ['batch', 'group', 'instance'] as const;

export interface Norm {
  readonly name: (typeof NORMS)[number];
  /** Of a group normalisation. @default 8 */
  readonly groups?: number;
}

/**
 * A normalisation as MONAI makes it from its name, followed by an activation that it does in the same go where it can.
 *
 * @throws UserError when the channels do not make as many groups
 */
export function normalization(scope: Scope, norm: Norm, channels: number, after?: Activation): Layer {
  if (norm.name === 'batch') {
    if (after === undefined || after.name === 'relu') return batchNormalization(scope, channels, after?.name as 'relu');
    const normalize = batchNormalization(scope, channels);
    return (x, pass) => after.apply(normalize(x, pass), pass);
  }
  const { groups = 8 } = norm;
  if (norm.name === 'group' && channels % groups !== 0) {
    throw new UserError(
      `${channels} channels cannot be shared evenly among ${groups} groups.`,
      'choose a num_groups that divides all numbers of channels of the network.',
    );
  }
  const normalize = groupNormalization(scope, norm.name === 'group' ? groups : undefined, channels, after?.slope);
  return after && !after.slope ? (x, pass) => after.apply(normalize(x, pass), pass) : normalize;
}

/** torch.nn.GroupNorm; without groups InstanceNorm, which has no parameters by default. */
function groupNormalization(
  scope: Scope,
  groups: number | undefined,
  channels: number,
  slope: Activation['slope'] = () => 1,
): Layer {
  if (groups === undefined) {
    return (x, pass) =>
      groupNorm(x, filled([channels], 1), filled([channels], 0), { groups: channels, slope: slope(pass) });
  }
  const scale = scope.parameter('weight', [channels], ONES);
  const offset = scope.parameter('bias', [channels], ZEROS);
  return (x, pass) => groupNorm(x, pass.parameter(scale), pass.parameter(offset), { groups, slope: slope(pass) });
}

export interface NormalizedConvolutionOptions extends Omit<ConvolutionOptions, 'bias' | 'spatialDims'> {
  readonly activation: ActivationName;
}

/** torch.nn.BatchNorm2d, an activation, and torch.nn.Conv2d without a bias: with a ReLU, in one go. */
export function normalizedConvolution(
  { norm, conv }: Readonly<Record<'norm' | 'conv', Scope>>,
  channels: number,
  filters: number,
  { activation, kernel, initial = defaultUniform, ...window }: NormalizedConvolutionOptions,
): Layer {
  if (activation !== 'relu') {
    const normalize = batchNormalization(norm, channels, activation);
    return sequential(normalize, convolution(conv, channels, filters, { kernel, initial, ...window }));
  }
  const parameters = batchNormParameters(norm, channels);
  const weight = kernelOf(conv, perAxis(kernel, 2), channels, filters, initial);
  return (x, pass) => {
    const { affine, running, ...update } = parameters(pass);
    return normalizedConv2d(x, affine, running, pass.parameter(weight), { ...update, ...window });
  };
}

/** torch.nn.LayerNorm over the last axis */
export function layerNormalization(scope: Scope, channels: number, role: ParameterSpec['role'] = 'trained'): Layer {
  const scale = scope.parameter('weight', [channels], ONES, { role });
  const offset = scope.parameter('bias', [channels], ZEROS, { role });
  return (x, pass) => layerNorm(x, pass.parameter(scale), pass.parameter(offset));
}

export interface DenseOptions {
  /** @default true */
  readonly bias?: boolean;
  /** @default PyTorch's */
  readonly biasInitial?: Initializer;
  /** Whether a GELU comes before it, which costs next to nothing here. @default false */
  readonly gelu?: boolean;
}

/** torch.nn.Linear on the last axis */
export function dense(scope: Scope, inputs: number, outputs: number, options: DenseOptions = {}): Layer {
  const { bias = true, biasInitial = defaultUniform(inputs), gelu = false } = options;
  const weight = scope.parameter('weight', [outputs, inputs], defaultUniform(inputs));
  const offset = bias ? scope.parameter('bias', [outputs], biasInitial) : undefined;
  const offsetIn = (pass: Pass) => (offset === undefined ? undefined : pass.parameter(offset));
  return (x, pass) => linear(x, pass.parameter(weight), offsetIn(pass), { gelu, training: pass.training });
}

/** A fully connected layer, a GELU and another such layer, with dropout after each, as transformers have it. */
export function perceptron(
  scope: Scope,
  names: readonly [string, string],
  channels: number,
  hidden: number,
  dropout: number,
): Layer {
  const widen = dense(scope.at(names[0]), channels, hidden);
  const dropHidden = dropping(scope, dropout);
  // with nothing between them, the GELU is done by the layer that it leads to
  const gelu = dropout === 0;
  const narrow = dense(scope.at(names[1]), hidden, channels, { gelu });
  const activate = gelu ? [] : [ACTIVATIONS.gelu, dropHidden];
  return sequential(widen, ...activate, narrow, dropping(scope, dropout));
}

/** torch.nn.Dropout, or with `perChannel` Dropout2d */
export function dropping(scope: Scope, rate: number, perChannel = false): Layer {
  if (rate === 0) return (x) => x;
  const site = scope.randomSite();
  return (x, pass) => (pass.training ? dropout(x, rate, pass.key(site), perChannel) : x);
}

/** Stochastic depth: the branch of whole samples dropped (Huang et al., https://arxiv.org/abs/1603.09382), as MONAI's DropPath. */
export function droppingPath(scope: Scope, rate: number): Layer {
  if (rate === 0) return (x) => x;
  const site = scope.randomSite();
  return (x, pass) => (pass.training ? dropPath(x, rate, pass.key(site)) : x);
}

const LEAKY_SLOPE = 0.01;

/** Activations without parameters, by the names that MONAI gives them. */
export const ACTIVATIONS = {
  relu: (x) => relu(x),
  gelu: (x) => gelu(x),
  elu: (x) => x.elu(),
  leakyrelu: (x) => prelu(x, LEAKY_SLOPE),
  tanh: (x) => x.tanh(),
} as const satisfies Record<string, Layer>;

export type ActivationName = keyof typeof ACTIVATIONS;

/** An activation with its parameters, where it has any. */
export interface Activation {
  readonly name: ActivationName | 'prelu';
  readonly apply: Layer;
  /** What it multiplies negative values by, if that is all that it does: then a normalisation does it in the same go. */
  readonly slope?: (pass: Pass) => number | Tensor;
}

/** An activation as MONAI makes it from its name; a PReLU has one learned slope. */
export function activation(scope: Scope, name: Activation['name']): Activation {
  if (name === 'prelu') {
    const weight = scope.parameter('weight', [1], { kind: 'constant', value: 0.25 });
    const slope = (pass: Pass) => pass.parameter(weight);
    return { name, slope, apply: (x, pass) => prelu(x, slope(pass)) };
  }
  const slopes: Partial<Record<ActivationName, number>> = { relu: 0, leakyrelu: LEAKY_SLOPE };
  const slope = slopes[name];
  return { name, apply: ACTIVATIONS[name], ...(slope !== undefined && { slope: () => slope }) };
}

/** The ways to double an image's sides, by the names that MONAI gives them. */
export const UPSAMPLE_MODES = ['deconv', 'nontrainable', 'pixelshuffle'] as const;
export type UpsampleMode = (typeof UPSAMPLE_MODES)[number];

/** monai.networks.blocks.UpSample by a factor of 2 to the same number of channels. */
export function upsampling(scope: Scope, mode: UpsampleMode, channels: number, spatialDims: SpatialDims): Layer {
  if (mode === 'nontrainable') {
    return (x) =>
      resizeLinear(
        x,
        x.shape.slice(1, -1).map((length) => 2 * length),
      );
  }
  if (mode === 'deconv') {
    const options = { kernel: 2, stride: 2, bias: true, spatialDims };
    return transposedConvolution(scope.at('deconv'), channels, channels, options);
  }
  // the same initial weights for all pixels that one becomes (Aitken et al., https://arxiv.org/abs/1707.02937)
  const repeat = 2 ** spatialDims;
  const initial = (fanIn: number): Initializer => ({ kind: 'normal', deviation: Math.sqrt(2 / fanIn), repeat });
  const options = { kernel: 3, padding: 1, bias: true, spatialDims, initial };
  const widen = convolution(scope.at('pixelshuffle').at('conv_block'), channels, channels * repeat, options);
  return (x, pass) => blur(pixelShuffle(widen(x, pass), 2), 2);
}

/**
 * @param factor one for all sides, or one for each
 * @throws UserError unless each side of x is a multiple of it
 */
export function requireMultiples(network: string, x: Tensor, factor: PerAxis): void {
  const sides = x.shape.slice(1, -1);
  const factors = perAxis(factor, sides.length);
  if (sides.every((side, axis) => side % (factors[axis] as number) === 0)) return;
  throw new UserError(
    `the ${network} takes images whose sides are multiples of ${[...new Set(factors)].join(' x ')}; these are ${sides.join(' x ')}.`,
    'choose another roi_size (volumes) or img_size (images), or fewer levels of the network.',
  );
}

export const maxPooling =
  (kernel: number, window: Window = {}): Layer =>
  (x) =>
    maxPool(x, kernel, window);

export const averagePooling =
  (kernel: number): Layer =>
  (x) =>
    avgPool(x, kernel);
