// Every hyperparameter of the trainer, and every metric that it emits: names, types, ranges and defaults. Pure data, for the trainer
// that reads them, the pipeline that passes them on, and the checker that refuses wrong ones before they cost money.

interface Common {
  readonly name: string;
  /** The section that it stands in in a YAML file, e.g. data.batch_size. */
  readonly section: 'model' | 'data' | 'training';
  readonly description: string;
  /** The families of networks that it concerns. @default all */
  readonly models?: readonly ('densenet' | 'vit')[];
}

export interface IntegerSpec extends Common {
  readonly type: 'integer';
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

export interface FloatSpec extends Common {
  readonly type: 'float';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export interface BooleanSpec extends Common {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface EnumSpec extends Common {
  readonly type: 'enum';
  readonly values: readonly string[];
  readonly default: string;
}

/** Whole numbers separated by commas, as `256` or `224,192`. */
export interface IntegersSpec extends Common {
  readonly type: 'integers';
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
  /** How many there may be. */
  readonly lengths: readonly [number, number];
}

/** `none`, `balanced`, or positive numbers separated by commas. */
export interface ClassWeightsSpec extends Common {
  readonly type: 'class weights';
  readonly default: 'none';
}

export type HyperparameterSpec = IntegerSpec | FloatSpec | BooleanSpec | EnumSpec | IntegersSpec | ClassWeightsSpec;

const LARGEST_SEED = 2 ** 31 - 1;

export const HYPERPARAMETERS = [
  {
    name: 'model_name',
    section: 'model',
    type: 'enum',
    values: ['densenet121', 'densenet169', 'densenet201', 'densenet264', 'vit'],
    default: 'densenet121',
    description: 'the network',
  },
  {
    name: 'in_channels',
    section: 'model',
    type: 'enum',
    values: ['auto', '1', '3'],
    default: 'auto',
    description: 'channels of the images; auto: 1 if all are grey, else 3',
  },
  {
    name: 'dropout',
    section: 'model',
    type: 'float',
    min: 0,
    max: 0.9,
    default: 0,
    description: 'share of activations dropped while training',
  },
  {
    name: 'init_features',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 512,
    default: 64,
    models: ['densenet'],
    description: 'filters of the first convolution',
  },
  {
    name: 'growth_rate',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 256,
    default: 32,
    models: ['densenet'],
    description: 'channels that each layer adds',
  },
  {
    name: 'bn_size',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 16,
    default: 4,
    models: ['densenet'],
    description: 'width of the bottleneck, in growth rates',
  },
  {
    name: 'block_config',
    section: 'model',
    type: 'integers',
    min: 1,
    max: 128,
    lengths: [1, 5],
    models: ['densenet'],
    description: "layers of each dense block (default: the named network's)",
  },
  {
    name: 'act',
    section: 'model',
    type: 'enum',
    values: ['relu', 'gelu', 'elu', 'leakyrelu', 'tanh'],
    default: 'relu',
    models: ['densenet'],
    description: 'activation',
  },
  {
    name: 'patch_size',
    section: 'model',
    type: 'integers',
    min: 1,
    max: 256,
    lengths: [1, 2],
    default: [16],
    models: ['vit'],
    description: 'pixels of a patch: one number, or height,width',
  },
  {
    name: 'hidden_size',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 4096,
    default: 768,
    models: ['vit'],
    description: 'width of a token',
  },
  {
    name: 'mlp_dim',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 16384,
    default: 3072,
    models: ['vit'],
    description: "width of a block's hidden layer",
  },
  {
    name: 'num_layers',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 64,
    default: 12,
    models: ['vit'],
    description: 'transformer blocks',
  },
  {
    name: 'num_heads',
    section: 'model',
    type: 'integer',
    min: 1,
    max: 64,
    default: 12,
    models: ['vit'],
    description: 'attention heads',
  },
  {
    name: 'qkv_bias',
    section: 'model',
    type: 'boolean',
    default: false,
    models: ['vit'],
    description: 'a bias for queries, keys and values',
  },
  {
    name: 'post_activation',
    section: 'model',
    type: 'enum',
    values: ['Tanh', 'none'],
    default: 'Tanh',
    models: ['vit'],
    description: 'what follows the classification head',
  },

  {
    name: 'img_size',
    section: 'data',
    type: 'integers',
    min: 8,
    max: 4096,
    lengths: [1, 2],
    default: [224],
    description: 'pixels that images are resized to: one number, or height,width',
  },
  {
    name: 'batch_size',
    section: 'data',
    type: 'integer',
    min: 1,
    max: 4096,
    default: 32,
    description: 'images of a training step',
  },
  {
    name: 'num_workers',
    section: 'data',
    type: 'integer',
    min: 1,
    max: 64,
    default: 2,
    description: 'threads that decode and augment images',
  },
  {
    name: 'valid_fraction',
    section: 'data',
    type: 'float',
    min: 0.01,
    max: 0.9,
    default: 0.2,
    description: 'share of train held out where there is no validation part',
  },
  {
    name: 'normalize',
    section: 'data',
    type: 'enum',
    values: ['minmax', 'zscore', 'none'],
    default: 'minmax',
    description: 'what each image is scaled to: its range to 0..1, or mean 0 and deviation 1',
  },
  {
    name: 'flip',
    section: 'data',
    type: 'enum',
    values: ['none', 'horizontal', 'vertical', 'both'],
    default: 'horizontal',
    description: 'axes along which half of the training images are flipped',
  },
  {
    name: 'rotate',
    section: 'data',
    type: 'float',
    min: 0,
    max: 180,
    default: 10,
    description: 'training images are rotated by up to so many degrees',
  },
  {
    name: 'zoom',
    section: 'data',
    type: 'float',
    min: 0,
    max: 0.9,
    default: 0.1,
    description: 'training images are zoomed by up to this share, in or out',
  },
  {
    name: 'intensity',
    section: 'data',
    type: 'float',
    min: 0,
    max: 0.9,
    default: 0.2,
    description: 'training images get a gamma of 1 +- up to this',
  },
  {
    name: 'augment_prob',
    section: 'data',
    type: 'float',
    min: 0,
    max: 1,
    default: 0.5,
    description: 'share of training images that each of rotation, zoom and gamma concerns',
  },

  {
    name: 'learning_rate',
    section: 'training',
    type: 'float',
    min: 0,
    max: 10,
    default: 0.001,
    description: 'the largest learning rate',
  },
  {
    name: 'num_epochs',
    section: 'training',
    type: 'integer',
    min: 1,
    max: 100_000,
    default: 3,
    description: 'passes over the training images',
  },
  {
    name: 'val_interval',
    section: 'training',
    type: 'integer',
    min: 1,
    max: 100_000,
    default: 1,
    description: 'epochs from one validation to the next; the last epoch is always validated',
  },
  {
    name: 'early_stopping_rounds',
    section: 'training',
    type: 'integer',
    min: 0,
    max: 100_000,
    default: 10,
    description: 'validations without a lower loss before training stops; 0: never',
  },
  {
    name: 'optimizer',
    section: 'training',
    type: 'enum',
    values: ['adam', 'adamw', 'sgd'],
    default: 'adam',
    description: 'how weights are moved',
  },
  {
    name: 'weight_decay',
    section: 'training',
    type: 'float',
    min: 0,
    max: 1,
    default: 0,
    description: 'L2 penalty (adam, sgd) or decoupled decay (adamw)',
  },
  { name: 'momentum', section: 'training', type: 'float', min: 0, max: 0.9999, default: 0.9, description: 'sgd only' },
  {
    name: 'lr_schedule',
    section: 'training',
    type: 'enum',
    values: ['constant', 'cosine', 'onecycle', 'polynomial', 'step'],
    default: 'constant',
    description: 'how the learning rate moves over the whole training',
  },
  {
    name: 'warmup_steps',
    section: 'training',
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: 0,
    description: 'steps in which the learning rate rises from 0',
  },
  {
    name: 'class_weights',
    section: 'training',
    type: 'class weights',
    default: 'none',
    description: 'weights of the classes in the loss: none, balanced, or one number a class',
  },
  {
    name: 'precision',
    section: 'training',
    type: 'enum',
    values: ['fp32', 'bf16', 'fp16'],
    default: 'fp32',
    description: 'what matrix products are computed in; fp16 needs a GPU',
  },
  {
    name: 'seed',
    section: 'training',
    type: 'integer',
    min: 0,
    max: LARGEST_SEED,
    default: 0,
    description: 'of initial weights, order, augmentation and dropout',
  },
  {
    name: 'checkpoint_interval',
    section: 'training',
    type: 'integer',
    min: 0,
    max: 1_000_000,
    default: 0,
    description: 'steps from one checkpoint to the next inside an epoch; 0: only at its end',
  },
  {
    name: 'num_to_keep',
    section: 'training',
    type: 'integer',
    min: 1,
    max: 1000,
    default: 2,
    description: 'newest checkpoints that are kept',
  },
] as const satisfies readonly HyperparameterSpec[];

type Specs = (typeof HYPERPARAMETERS)[number];

type ValueOf<Spec> = Spec extends { type: 'integer' }
  ? Spec extends { default: number }
    ? number
    : number | undefined
  : Spec extends { type: 'float' }
    ? number
    : Spec extends { type: 'boolean' }
      ? boolean
      : Spec extends { type: 'enum'; values: readonly (infer Value)[] }
        ? Value
        : Spec extends { type: 'integers' }
          ? Spec extends { default: readonly number[] }
            ? readonly number[]
            : readonly number[] | undefined
          : 'none' | 'balanced' | readonly number[];

/** The values of all hyperparameters, by name. */
export type Hyperparameters = { readonly [Spec in Specs as Spec['name']]: ValueOf<Spec> };

export type HyperparameterName = keyof Hyperparameters;

export interface MetricSpec {
  readonly name: string;
  readonly description: string;
}

/** What the trainer prints as `name=value;` lines, once an epoch. */
export const METRICS = [
  { name: 'train_loss', description: 'mean cross-entropy over the epoch, while the weights moved' },
  {
    name: 'train_accuracy',
    description: 'share of training images that were classified right, while the weights moved',
  },
  { name: 'valid_loss', description: 'mean cross-entropy over the validation images' },
  { name: 'valid_accuracy', description: 'share of validation images that are classified right' },
  { name: 'test_loss', description: 'mean cross-entropy over the test images, once, after training' },
  { name: 'test_accuracy', description: 'share of test images that are classified right, once, after training' },
  { name: 'images_per_second', description: 'training images per second of the epoch' },
] as const satisfies readonly MetricSpec[];

export type MetricName = (typeof METRICS)[number]['name'];

/** A number as the trainer prints it; the group is the value. */
const NUMBER = '([-+]?[0-9]+\\.?[0-9]*(?:[eE][-+]?[0-9]+)?)';

/** The pattern by which SageMaker's MetricDefinitions find a metric in the log. */
export function metricRegex(metric: MetricName): string {
  return `(?:^|\\s)${metric}=${NUMBER};`;
}
