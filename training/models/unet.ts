// UNet (Ronneberger et al., https://arxiv.org/abs/1505.04597) with residual units (Kerfoot et al.,
// https://doi.org/10.1007/978-3-030-12029-0_40) for segmentation: MONAI's architecture, options and parameter names.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { type PerAxis, perAxis } from '../ops/convolution';
import { concat } from '../ops/layout';
import { checkpointed } from './checkpointing';
import { supervisionHeads } from './deep-supervision';
import {
  type Activation,
  activation,
  convolution,
  dropping,
  type Norm,
  normalization,
  requireMultiples,
  type SpatialDims,
  sequential,
  transposedConvolution,
} from './layers';
import { type Layer, type Network, type Pass, Scope } from './network';

export interface UNetOptions {
  readonly inChannels: number;
  readonly classes: number;
  /** @default 3 */
  readonly spatialDims?: SpatialDims;
  /** Of each level, from the top. @default [16, 32, 64, 128, 256] */
  readonly channels?: readonly number[];
  /** By how much each level but the last shrinks the sides. @default [2, 2, 2, 2] */
  readonly strides?: readonly number[];
  /** Of the convolutions, odd. @default 3 */
  readonly kernelSize?: PerAxis;
  /** Of the transposed convolutions, odd. @default 3 */
  readonly upKernelSize?: PerAxis;
  /** Convolutions of a residual unit; 0 for single convolutions without a shortcut. @default 0 */
  readonly residualUnits?: number;
  /** @default instance */
  readonly norm?: Norm;
  /** @default prelu */
  readonly activation?: Activation['name'];
  /** Share of activations that are dropped after each normalisation. @default 0 */
  readonly dropout?: number;
  /** Levels of the decoder beside the finest that are taught while training: deep supervision. @default 0 */
  readonly supervisedLevels?: number;
}

type Complete = Required<UNetOptions>;

interface Shape {
  readonly channels: number;
  readonly filters: number;
  readonly stride: number;
  /** Whether neither normalisation nor activation follow. @default false */
  readonly alone?: boolean;
}

/** Padding that keeps the sides at stride 1. */
function same(kernel: PerAxis, axes: number): number[] {
  return perAxis(kernel, axes).map((size) => (size - 1) / 2);
}

/** Normalisation, dropout and activation in MONAI's default order. */
function normalizeAndActivate(scope: Scope, filters: number, { norm, dropout, ...options }: Complete): Layer {
  const act = activation(scope.at('A'), options.activation);
  if (dropout === 0) return normalization(scope.at('N'), norm, filters, act);
  return sequential(normalization(scope.at('N'), norm, filters), dropping(scope, dropout), act.apply);
}

function convolutionBlock(scope: Scope, { channels, filters, stride, alone }: Shape, options: Complete): Layer {
  const { kernelSize: kernel, spatialDims } = options;
  const bias = options.norm.name === 'instance' && !alone ? 'cancelled' : true;
  const window = { kernel, padding: same(kernel, spatialDims), stride, bias, spatialDims } as const;
  const convolve = convolution(scope.at('conv'), channels, filters, window);
  return alone ? convolve : sequential(convolve, normalizeAndActivate(scope.at('adn'), filters, options));
}

function upBlock(scope: Scope, { channels, filters, stride, alone }: Shape, options: Complete): Layer {
  const { upKernelSize: kernel, spatialDims } = options;
  const bias = options.norm.name === 'instance' && !alone ? 'cancelled' : true;
  const window = { kernel, padding: same(kernel, spatialDims), outputPadding: stride - 1, stride, spatialDims };
  const convolve = transposedConvolution(scope.at('conv'), channels, filters, { ...window, bias });
  return alone ? convolve : sequential(convolve, normalizeAndActivate(scope.at('adn'), filters, options));
}

/** Convolutions one after the other, added to what came in, which is brought to the same shape first. */
function residualUnit(scope: Scope, count: number, shape: Shape, options: Complete): Layer {
  const { channels, filters, stride, alone = false } = shape;
  const units = Array.from({ length: count }, (_, index) => {
    const first = { channels: index === 0 ? channels : filters, filters, stride: index === 0 ? stride : 1 };
    const last = index === count - 1;
    return convolutionBlock(scope.at('conv').at(`unit${index}`), { ...first, alone: alone && last }, options);
  });
  const branch = sequential(...units);
  if (stride === 1 && channels === filters) return (x, pass) => branch(x, pass).add(x);
  const { spatialDims } = options;
  const kernel = stride === 1 ? 1 : options.kernelSize;
  const window = { kernel, padding: same(kernel, spatialDims), stride, bias: true, spatialDims };
  const shortcut = convolution(scope.at('residual'), channels, filters, window);
  return (x, pass) => branch(x, pass).add(shortcut(x, pass));
}

function downLayer(scope: Scope, shape: Shape, options: Complete): Layer {
  const { residualUnits } = options;
  return checkpointed(scope, () =>
    residualUnits > 0 ? residualUnit(scope, residualUnits, shape, options) : convolutionBlock(scope, shape, options),
  );
}

function upLayer(scope: Scope, shape: Shape, top: boolean, options: Complete): Layer {
  if (options.residualUnits === 0) return upBlock(scope, { ...shape, alone: top }, options);
  const { filters } = shape;
  return sequential(
    upBlock(scope.at(0), shape, options),
    residualUnit(scope.at(1), 1, { channels: filters, filters, stride: 1, alone: top }, options),
  );
}

/** A part of the network that gives features of all levels on its way up, the finest first. */
type Levels = (x: Tensor, pass: Pass) => Tensor[];

/** A level and all below it: down, what is below beside what came down, and up again. */
function level(scope: Scope, index: number, inputs: number, outputs: number, options: Complete): Levels {
  const channels = options.channels[index] as number;
  const stride = options.strides[index] as number;
  const below = options.channels[index + 1] as number;
  const bottom = index === options.channels.length - 2;
  const down = downLayer(scope.at(0), { channels: inputs, filters: channels, stride }, options);
  const inner = scope.at(1).at('submodule');
  const submodule = bottom
    ? inList(downLayer(inner, { channels, filters: below, stride: 1 }, options))
    : level(inner, index + 1, channels, channels, options);
  const together = channels + (bottom ? below : channels);
  const up = checkpointed(scope, () => {
    const layer = upLayer(scope.at(2), { channels: together, filters: outputs, stride }, index === 0, options);
    return (features: readonly Tensor[], pass: Pass) => layer(concat(features, options.spatialDims + 1), pass);
  });
  return (x, pass) => {
    const features = down(x, pass);
    const results = submodule(features, pass);
    return [up([features, results[0] as Tensor], pass), ...results];
  };
}

function inList(layer: Layer): Levels {
  return (x, pass) => [layer(x, pass)];
}

function check({ channels, strides, kernelSize, upKernelSize, spatialDims }: Complete): void {
  const refuse = (what: string, fix: string) => {
    throw new UserError(`the UNet's ${what}.`, fix);
  };
  if (channels.length < 2) refuse(`channels are ${channels.join()}`, 'give at least two levels, e.g. channels=16,32.');
  if (strides.length !== channels.length - 1) {
    const fix = 'give a stride for each level but the last: one fewer than channels.';
    refuse(`strides are ${strides.length}, its channels ${channels.length}`, fix);
  }
  for (const [name, size] of Object.entries({ kernel_size: kernelSize, up_kernel_size: upKernelSize })) {
    const sizes = perAxis(size, spatialDims);
    if (sizes.length !== spatialDims)
      refuse(`${name} is ${sizes.join()}`, `give one number, or one for each of ${spatialDims} axes.`);
    if (sizes.some((size) => size % 2 === 0)) refuse(`${name} is ${sizes.join()}`, 'choose odd sizes.');
  }
}

/**
 * [N, ...spatial, inChannels] -> logits [N, ...spatial, classes], for sides that are multiples of all strides together.
 *
 * @throws UserError when the options contradict each other; when it runs, where a side is no such multiple
 */
export function unet(options: UNetOptions): Network {
  const complete: Complete = {
    spatialDims: 3,
    channels: [16, 32, 64, 128, 256],
    strides: [2, 2, 2, 2],
    kernelSize: 3,
    upKernelSize: 3,
    residualUnits: 0,
    norm: { name: 'instance' },
    activation: 'prelu',
    dropout: 0,
    supervisedLevels: 0,
    ...options,
  };
  check(complete);
  const root = Scope.root();
  const model = level(root.at('model'), 0, complete.inChannels, complete.classes, complete);
  const shrunk = complete.strides.reduce((product, stride) => product * stride, 1);
  const heads = supervisionHeads(root, complete.supervisedLevels, {
    ...{ network: 'UNet', classes: complete.classes, spatialDims: complete.spatialDims },
    channels: complete.channels.slice(0, -2),
  });
  const decoded: Levels = (images, pass) => {
    requireMultiples('UNet', images, shrunk);
    return model(images, pass);
  };
  const forward: Layer = (images, pass) => decoded(images, pass)[0] as Tensor;
  const levels: Levels = (images, pass) => {
    const [logits, ...coarser] = decoded(images, pass) as [Tensor, ...Tensor[]];
    return [logits, ...heads.map((head, index) => head(coarser[index] as Tensor, pass))];
  };
  return { parameters: root.parameters, forward, ...(heads.length > 0 && { levels }) };
}
