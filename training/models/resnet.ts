// ResNet (He et al., https://arxiv.org/abs/1512.03385; in 3D Hara et al., https://arxiv.org/abs/1711.09577) for classification: MONAI's
// architecture, options and parameter names.

import { relu } from '../ops/activation';
import { checkpointed } from './checkpointing';
import { pooledClassifier } from './explanation';
import {
  batchNormalization,
  type ConvolutionOptions,
  convolution,
  kaimingNormalOfOutputs,
  maxPooling,
  type SpatialDims,
  sequential,
} from './layers';
import { type Layer, type Network, Scope } from './network';

export interface ResNetOptions {
  readonly inChannels: number;
  readonly classes: number;
  /** @default 2 */
  readonly spatialDims?: SpatialDims;
  /** Two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 to four times the channels. @default basic */
  readonly block?: 'basic' | 'bottleneck';
  /** Blocks of each level. @default [2, 2, 2, 2], ResNet18's */
  readonly layers?: readonly number[];
  /** Width of each level's blocks. @default [64, 128, 256, 512] */
  readonly planes?: readonly number[];
  /** Sides of the first convolution's kernel. @default 7 */
  readonly firstKernel?: number;
  /** Stride of the first convolution. @default 1 */
  readonly firstStride?: number;
  /** Whether a max pooling halves the sides after the first convolution. @default true */
  readonly maxPool?: boolean;
  /** Whether shortcuts that change the shape have a bias, which MONAI has by default. @default true */
  readonly downsampleBias?: boolean;
}

/** Table 1 of the paper. */
export const RESNET_VARIANTS = {
  resnet18: { block: 'basic', layers: [2, 2, 2, 2] },
  resnet34: { block: 'basic', layers: [3, 4, 6, 3] },
  resnet50: { block: 'bottleneck', layers: [3, 4, 6, 3] },
} as const satisfies Record<string, Partial<ResNetOptions>>;

const EXPANSION = { basic: 1, bottleneck: 4 } as const;

type Complete = Required<ResNetOptions>;

interface Shape {
  readonly channels: number;
  readonly planes: number;
  readonly stride: number;
}

/** Convolution `number` and the normalisation behind it. */
function conv(
  scope: Scope,
  number: number,
  [channels, filters]: readonly [number, number],
  activation: 'relu' | undefined,
  options: ConvolutionOptions,
): Layer {
  return sequential(
    convolution(scope.at(`conv${number}`), channels, filters, { initial: kaimingNormalOfOutputs, ...options }),
    batchNormalization(scope.at(`bn${number}`), filters, activation),
  );
}

function branch(scope: Scope, { channels, planes, stride }: Shape, { block, spatialDims }: Complete): Layer {
  const point = { kernel: 1, spatialDims };
  const area = { kernel: 3, padding: 1, spatialDims };
  if (block === 'basic') {
    return sequential(
      conv(scope, 1, [channels, planes], 'relu', { ...area, stride }),
      conv(scope, 2, [planes, planes], undefined, area),
    );
  }
  return sequential(
    conv(scope, 1, [channels, planes], 'relu', point),
    conv(scope, 2, [planes, planes], 'relu', { ...area, stride }),
    conv(scope, 3, [planes, planes * EXPANSION.bottleneck], undefined, point),
  );
}

/** A branch added to its input, which is brought to the same shape first. */
function residualBlock(scope: Scope, shape: Shape, options: Complete): Layer {
  const { channels, planes, stride } = shape;
  const filters = planes * EXPANSION[options.block];
  const learned = branch(scope, shape, options);
  if (stride === 1 && channels === filters) return (x, pass) => relu(learned(x, pass).add(x));
  const downsample = scope.at('downsample');
  const { spatialDims, downsampleBias: bias } = options;
  const window = { kernel: 1, stride, bias, spatialDims, initial: kaimingNormalOfOutputs };
  const shortcut = sequential(
    convolution(downsample.at(0), channels, filters, window),
    batchNormalization(downsample.at(1), filters),
  );
  return (x, pass) => relu(learned(x, pass).add(shortcut(x, pass)));
}

function level(scope: Scope, index: number, channels: number, options: Complete): Layer {
  const planes = options.planes[index] as number;
  const filters = planes * EXPANSION[options.block];
  const blocks = Array.from({ length: options.layers[index] as number }, (_, block) => {
    const first = block === 0;
    const shape = { channels: first ? channels : filters, planes, stride: first && index > 0 ? 2 : 1 };
    return checkpointed(scope, () => residualBlock(scope.at(block), shape, options));
  });
  return sequential(...blocks);
}

/** [N, ...spatial, inChannels] -> logits [N, classes], for sides of any length. */
export function resnet(options: ResNetOptions): Network {
  const complete: Complete = {
    spatialDims: 2,
    ...RESNET_VARIANTS.resnet18,
    planes: [64, 128, 256, 512],
    firstKernel: 7,
    firstStride: 1,
    maxPool: true,
    downsampleBias: true,
    ...options,
  };
  const { inChannels, planes, block, spatialDims, firstKernel: kernel, firstStride: stride } = complete;
  const root = Scope.root();
  const window = { kernel, stride, padding: Math.floor(kernel / 2), spatialDims };
  const layers = [conv(root, 1, [inChannels, planes[0] as number], 'relu', window)];
  if (complete.maxPool) layers.push(maxPooling(3, { stride: 2, padding: 1 }));
  let channels = planes[0] as number;
  planes.forEach((width, index) => {
    layers.push(level(root.at(`layer${index + 1}`), index, channels, complete));
    channels = width * EXPANSION[block];
  });
  const classifier = pooledClassifier(sequential(...layers), root.at('fc'), channels, complete.classes);
  return { parameters: root.parameters, ...classifier };
}
