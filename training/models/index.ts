// The networks by the names that hyperparameters give them.
import { UserError } from '../errors';
import type { Hyperparameters } from '../hyperparameters';
import { DENSENET_VARIANTS, densenet } from './densenet';
import { ACTIVATIONS, type ActivationName, type Norm, type SpatialDims } from './layers';
import type { Network } from './network';
import { RESNET_VARIANTS, resnet } from './resnet';
import { segresnet } from './segresnet';
import { swinUNETR } from './swin-unetr';
import { unet } from './unet';
import { vit } from './vit';
import { convStemViT } from './vit-conv';

/** What the data decides of a network. */
export interface NetworkShape {
  readonly inChannels: number;
  readonly classes: number;
  /** Height and width of the images, pixels; of volumes, the voxels of a patch along each axis. */
  readonly imageSize: readonly number[];
}

/** One number for both axes, or one for each. */
export function pair(numbers: readonly number[]): [number, number] {
  return [numbers[0] as number, numbers[1] ?? (numbers[0] as number)];
}

type Build = (hyperparameters: Hyperparameters, shape: NetworkShape) => Network;

/** @throws UserError for an activation that only the UNet can have */
function plainActivation({ act, model_name: name }: Hyperparameters): ActivationName {
  if (act in ACTIVATIONS) return act as ActivationName;
  throw new UserError(
    `${name} cannot have the activation ${act}.`,
    `choose one of ${Object.keys(ACTIVATIONS).join(', ')} for act.`,
  );
}

function normOf({ norm, num_groups: groups }: Hyperparameters): Norm {
  return { name: norm, groups };
}

function spatialDimsOf({ spatial_dims: dims }: Hyperparameters): SpatialDims {
  return dims as SpatialDims;
}

function supervised({ deep_supervision: on, deep_supr_num: count }: Hyperparameters): number {
  return on ? count : 0;
}

/** One number as it is, several as one for each axis. */
function sizes(numbers: readonly number[]): number | readonly number[] {
  return numbers.length === 1 ? (numbers[0] as number) : numbers;
}

function buildResNet(hyperparameters: Hyperparameters, shape: NetworkShape): Network {
  return resnet({
    ...shape,
    ...RESNET_VARIANTS[hyperparameters.model_name as keyof typeof RESNET_VARIANTS],
    spatialDims: spatialDimsOf(hyperparameters),
    firstKernel: hyperparameters.conv1_t_size,
    firstStride: hyperparameters.conv1_t_stride,
    maxPool: !hyperparameters.no_max_pool,
    downsampleBias: hyperparameters.bias_downsample,
  });
}

const BUILD: Readonly<Record<Hyperparameters['model_name'], Build>> = {
  ...{ densenet121: buildDenseNet, densenet169: buildDenseNet },
  ...{ densenet201: buildDenseNet, densenet264: buildDenseNet },
  ...{ resnet18: buildResNet, resnet34: buildResNet, resnet50: buildResNet },
  vit: (hyperparameters, shape) =>
    vit({
      ...shape,
      imageSize: pair(shape.imageSize),
      dropout: hyperparameters.dropout,
      patchSize: pair(hyperparameters.patch_size),
      hiddenSize: hyperparameters.hidden_size,
      mlpDim: hyperparameters.mlp_dim,
      layers: hyperparameters.num_layers,
      heads: hyperparameters.num_heads,
      qkvBias: hyperparameters.qkv_bias,
      postActivation: hyperparameters.post_activation,
    }),
  vit_conv: (hyperparameters, shape) =>
    convStemViT({
      ...shape,
      imageSize: pair(shape.imageSize),
      hiddenSize: hyperparameters.hidden_size,
      mlpDim: hyperparameters.mlp_dim,
      layers: hyperparameters.num_layers,
      heads: hyperparameters.num_heads,
      dropout: hyperparameters.dropout,
    }),
  segresnet: (hyperparameters, shape) =>
    segresnet({
      ...shape,
      spatialDims: spatialDimsOf(hyperparameters),
      initFilters: hyperparameters.init_filters,
      blocksDown: hyperparameters.blocks_down,
      blocksUp: hyperparameters.blocks_up,
      norm: normOf(hyperparameters),
      activation: plainActivation(hyperparameters),
      dropout: hyperparameters.dropout,
      upsampleMode: hyperparameters.upsample_mode,
      supervisedLevels: supervised(hyperparameters),
    }),
  unet: (hyperparameters, shape) =>
    unet({
      ...shape,
      spatialDims: spatialDimsOf(hyperparameters),
      channels: hyperparameters.channels,
      strides: hyperparameters.strides,
      kernelSize: sizes(hyperparameters.kernel_size),
      upKernelSize: sizes(hyperparameters.up_kernel_size),
      residualUnits: hyperparameters.num_res_units,
      norm: normOf(hyperparameters),
      activation: hyperparameters.act,
      dropout: hyperparameters.dropout,
      supervisedLevels: supervised(hyperparameters),
    }),
  swinunetr: (hyperparameters, shape) =>
    swinUNETR({
      ...shape,
      spatialDims: spatialDimsOf(hyperparameters),
      featureSize: hyperparameters.feature_size,
      patchSize: hyperparameters.patch_size[0] as number,
      depths: hyperparameters.depths,
      heads: hyperparameters.depths.map((_, level) => hyperparameters.num_heads * 2 ** level),
      windowSize: hyperparameters.window_size,
      qkvBias: hyperparameters.qkv_bias,
      norm: normOf(hyperparameters),
      dropout: hyperparameters.dropout,
      attentionDropout: hyperparameters.attn_drop_rate,
      dropPath: hyperparameters.dropout_path_rate,
    }),
};

function buildDenseNet(hyperparameters: Hyperparameters, shape: NetworkShape): Network {
  return densenet({
    ...shape,
    ...DENSENET_VARIANTS[hyperparameters.model_name as keyof typeof DENSENET_VARIANTS],
    dropout: hyperparameters.dropout,
    initFeatures: hyperparameters.init_features,
    growthRate: hyperparameters.growth_rate,
    bottleneckSize: hyperparameters.bn_size,
    activation: plainActivation(hyperparameters),
    ...(hyperparameters.block_config && { blockConfig: hyperparameters.block_config }),
  });
}

/** @throws UserError when the hyperparameters contradict each other or the shape */
export function buildNetwork(hyperparameters: Hyperparameters, shape: NetworkShape): Network {
  const { model_name: name } = hyperparameters;
  const dims = hyperparameters.spatial_dims;
  if (shape.imageSize.length !== dims) {
    throw new UserError(
      `the ${name} is to see ${dims === 2 ? 'images' : 'volumes'}, the data are ${dims === 2 ? 'volumes' : 'images'}.`,
      'choose another model_name, or the spatial_dims of the data where the network takes both.',
    );
  }
  return BUILD[name](hyperparameters, shape);
}
