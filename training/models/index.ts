// The networks by the names that hyperparameters give them.
import type { Hyperparameters } from '../hyperparameters';
import { DENSENET_VARIANTS, densenet } from './densenet';
import type { Network } from './network';
import { vit } from './vit';

/** What the data decides of a network. */
export interface NetworkShape {
  readonly inChannels: number;
  readonly classes: number;
  /** Height and width of the images, pixels. */
  readonly imageSize: readonly [number, number];
}

/** One number for both axes, or one for each. */
export function pair(numbers: readonly number[]): [number, number] {
  return [numbers[0] as number, numbers[1] ?? (numbers[0] as number)];
}

/** @throws UserError when the hyperparameters contradict each other or the shape */
export function buildNetwork(hyperparameters: Hyperparameters, shape: NetworkShape): Network {
  const { model_name: name, dropout } = hyperparameters;
  if (name === 'vit') {
    return vit({
      ...shape,
      dropout,
      patchSize: pair(hyperparameters.patch_size),
      hiddenSize: hyperparameters.hidden_size,
      mlpDim: hyperparameters.mlp_dim,
      layers: hyperparameters.num_layers,
      heads: hyperparameters.num_heads,
      qkvBias: hyperparameters.qkv_bias,
      postActivation: hyperparameters.post_activation,
    });
  }
  return densenet({
    ...shape,
    ...DENSENET_VARIANTS[name],
    dropout,
    initFeatures: hyperparameters.init_features,
    growthRate: hyperparameters.growth_rate,
    bottleneckSize: hyperparameters.bn_size,
    activation: hyperparameters.act,
    ...(hyperparameters.block_config && { blockConfig: hyperparameters.block_config }),
  });
}
