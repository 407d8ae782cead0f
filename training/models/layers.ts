// Layers as networks compose them: each declares its parameters under PyTorch's names, initialised as PyTorch does, and gives a function.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { gelu, relu } from '../ops/activation';
import { avgPool2d, conv2d, maxPool2d, type Window } from '../ops/convolution';
import { linear } from '../ops/linear';
import { batchNorm, layerNorm, type Statistics } from '../ops/normalization';
import { normalizedConv2d } from '../ops/normalized-convolution';
import { dropout } from '../ops/random';
import type { Initializer, Layer, ParameterSpec, Pass, Scope } from './network';

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

export interface ConvolutionOptions extends Window {
  readonly kernel: number;
  /** @default false */
  readonly bias?: boolean;
  /** @default PyTorch's */
  readonly initial?: (fanIn: number) => Initializer;
}

function kernelOf(
  scope: Scope,
  channels: number,
  filters: number,
  kernel: number,
  initial: (fanIn: number) => Initializer,
): string {
  const shape = [kernel, kernel, channels, filters];
  return scope.parameter('weight', shape, initial(kernel * kernel * channels), { layout: 'kernel' });
}

/** torch.nn.Conv2d */
export function convolution(scope: Scope, channels: number, filters: number, options: ConvolutionOptions): Layer {
  const { kernel, bias = false, initial = defaultUniform, ...window } = options;
  const weight = kernelOf(scope, channels, filters, kernel, initial);
  if (!bias) return (x, pass) => conv2d(x, pass.parameter(weight), window);
  const offset = scope.parameter('bias', [filters], defaultUniform(kernel * kernel * channels));
  return (x, pass) => conv2d(x, pass.parameter(weight), window).add(pass.parameter(offset));
}

/** A layer that also takes several tensors, which stand for their concatenation along the channels. */
export type ConcatenatingLayer = (x: Tensor | readonly Tensor[], pass: Pass) => Tensor;

/** Declares what torch.nn.BatchNorm2d has, and gives it for a pass; `update` where the batch's own statistics are used and noted. */
function batchNormParameters(scope: Scope, channels: number) {
  const scale = scope.parameter('weight', [channels], ONES);
  const offset = scope.parameter('bias', [channels], ZEROS);
  const mean = scope.parameter('running_mean', [channels], ZEROS, { role: 'buffer' });
  const variance = scope.parameter('running_var', [channels], ONES, { role: 'buffer' });
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

/** torch.nn.BatchNorm2d, followed by an activation: a ReLU is done in the same go. */
export function batchNormalization(scope: Scope, channels: number, activation: ActivationName): ConcatenatingLayer {
  const parameters = batchNormParameters(scope, channels);
  const relu = activation === 'relu';
  const normalize: ConcatenatingLayer = (x, pass) => {
    const { affine, running, ...update } = parameters(pass);
    return batchNorm(x, affine, running, { relu, ...update });
  };
  return relu ? normalize : (x, pass) => ACTIVATIONS[activation](normalize(x, pass));
}

export interface NormalizedConvolutionOptions extends Omit<ConvolutionOptions, 'bias'> {
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
  const weight = kernelOf(conv, channels, filters, kernel, initial);
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
}

/** torch.nn.Linear on the last axis */
export function dense(scope: Scope, inputs: number, outputs: number, options: DenseOptions = {}): Layer {
  const { bias = true, biasInitial = defaultUniform(inputs) } = options;
  const weight = scope.parameter('weight', [outputs, inputs], defaultUniform(inputs));
  if (!bias) return (x, pass) => linear(x, pass.parameter(weight));
  const offset = scope.parameter('bias', [outputs], biasInitial);
  return (x, pass) => linear(x, pass.parameter(weight), pass.parameter(offset));
}

/** torch.nn.Dropout, or with `perChannel` Dropout2d */
export function dropping(scope: Scope, rate: number, perChannel = false): Layer {
  if (rate === 0) return (x) => x;
  const site = scope.randomSite();
  return (x, pass) => (pass.training ? dropout(x, rate, pass.key(site), perChannel) : x);
}

/** Activations by the names that MONAI gives them. */
export const ACTIVATIONS = {
  relu: (x) => relu(x),
  gelu: (x) => gelu(x),
  elu: (x) => x.elu(),
  leakyrelu: (x) => x.leakyRelu(0.01),
  tanh: (x) => x.tanh(),
} as const satisfies Record<string, Layer>;

export type ActivationName = keyof typeof ACTIVATIONS;

export const maxPooling =
  (kernel: number, window: Window = {}): Layer =>
  (x) =>
    maxPool2d(x, kernel, window);

export const averagePooling =
  (kernel: number): Layer =>
  (x) =>
    avgPool2d(x, kernel);
