// DenseNet (Huang et al., https://arxiv.org/abs/1608.06993), the architecture, options and parameter names of MONAI's.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { checkpointed } from './checkpointing';
import { pooledClassifier } from './explanation';
import {
  type ActivationName,
  averagePooling,
  batchNormalization,
  type ConcatenatingLayer,
  type ConvolutionOptions,
  convolution,
  dropping,
  kaimingNormal,
  maxPooling,
  normalizedConvolution,
  sequential,
} from './layers';
import { type Layer, type Network, type Pass, Scope } from './network';

/** DenseNet's options, by the paper (https://arxiv.org/abs/1608.06993) and MONAI. */
export interface DenseNetOptions {
  /** Channels of the images. */
  readonly inChannels: number;
  /** Logits of an image. */
  readonly classes: number;
  /** Filters of the first convolution. @default 64 */
  readonly initFeatures?: number;
  /** Channels that each layer adds (k in the paper). @default 32 */
  readonly growthRate?: number;
  /** Layers in each dense block. @default [6, 12, 24, 16], DenseNet121's */
  readonly blockConfig?: readonly number[];
  /** The bottleneck of a layer has this many times the growth rate of channels. @default 4 */
  readonly bottleneckSize?: number;
  /** @default relu */
  readonly activation?: ActivationName;
  /** Share of channels that are dropped after each dense layer. @default 0 */
  readonly dropout?: number;
}

/** Table 1 of the paper; 264 as in its ImageNet experiments. */
export const DENSENET_VARIANTS = {
  densenet121: { initFeatures: 64, growthRate: 32, blockConfig: [6, 12, 24, 16] },
  densenet169: { initFeatures: 64, growthRate: 32, blockConfig: [6, 12, 32, 32] },
  densenet201: { initFeatures: 64, growthRate: 32, blockConfig: [6, 12, 48, 32] },
  densenet264: { initFeatures: 64, growthRate: 32, blockConfig: [6, 12, 64, 48] },
} as const satisfies Record<string, Partial<DenseNetOptions>>;

function conv(scope: Scope, channels: number, filters: number, options: ConvolutionOptions): Layer {
  return convolution(scope, channels, filters, { ...options, initial: kaimingNormal });
}

/** From all features so far, new ones. */
function denseLayer(scope: Scope, channels: number, options: Required<DenseNetOptions>): ConcatenatingLayer {
  const layers = scope.at('layers');
  const bottleneck = options.bottleneckSize * options.growthRate;
  const normalize = batchNormalization(layers.at('norm1'), channels, options.activation);
  const grow = sequential(
    conv(layers.at('conv1'), channels, bottleneck, { kernel: 1 }),
    normalizedConvolution({ norm: layers.at('norm2'), conv: layers.at('conv2') }, bottleneck, options.growthRate, {
      ...{ kernel: 3, padding: 1, initial: kaimingNormal },
      activation: options.activation,
    }),
    dropping(layers, options.dropout, true),
  );
  return (features, pass) => grow(normalize(features, pass), pass);
}

/** Each layer sees the features of all before it; they stay apart, for only the normalisation that follows reads them. */
function denseBlock(scope: Scope, count: number, channels: number, options: Required<DenseNetOptions>) {
  const layers = Array.from({ length: count }, (_, index) =>
    checkpointed(scope, () =>
      denseLayer(scope.at(`denselayer${index + 1}`), channels + index * options.growthRate, options),
    ),
  );
  return (x: Tensor, pass: Pass): Tensor[] => {
    const features = [x];
    for (const layer of layers) features.push(layer(features, pass));
    return features;
  };
}

/** [N, H, W, inChannels] -> logits [N, classes], for any H and W of at least 32 (each is halved five times). */
export function densenet(options: DenseNetOptions): Network {
  const complete: Required<DenseNetOptions> = {
    ...DENSENET_VARIANTS.densenet121,
    bottleneckSize: 4,
    activation: 'relu',
    dropout: 0,
    ...options,
  };
  const root = Scope.root();
  const features = root.at('features');
  let channels = complete.initFeatures;
  const layers: Layer[] = [
    conv(features.at('conv0'), complete.inChannels, channels, { kernel: 7, stride: 2, padding: 3 }),
    batchNormalization(features.at('norm0'), channels, complete.activation),
    maxPooling(3, { stride: 2, padding: 1 }),
  ];
  complete.blockConfig.forEach((count, index) => {
    const block = denseBlock(features.at(`denseblock${index + 1}`), count, channels, complete);
    channels += count * complete.growthRate;
    const last = index === complete.blockConfig.length - 1;
    const transition = features.at(`transition${index + 1}`);
    const reduce = checkpointed(root, () => {
      const scope = last ? features.at('norm5') : transition.at('norm');
      const normalize = batchNormalization(scope, channels, complete.activation);
      if (last) return normalize;
      // the other way round than in the paper, for a mean and a 1 x 1 convolution may change places: a quarter of the products
      const halve = sequential(
        averagePooling(2),
        conv(transition.at('conv'), channels, Math.floor(channels / 2), { kernel: 1 }),
      );
      return (x: readonly Tensor[], pass: Pass) => halve(normalize(x, pass), pass);
    });
    layers.push((x, pass) => reduce(block(x, pass), pass));
    if (!last) channels = Math.floor(channels / 2);
  });
  const classifier = pooledClassifier(
    sequential(...layers),
    root.at('class_layers').at('out'),
    channels,
    complete.classes,
  );
  return { parameters: root.parameters, ...classifier };
}
