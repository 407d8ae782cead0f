// SegResNet (Myronenko, https://arxiv.org/abs/1810.11654) for segmentation: MONAI's architecture, options and parameter names.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import { checkpointed } from './checkpointing';
import { supervisionHeads } from './deep-supervision';
import {
  type ActivationName,
  activation,
  type ConvolutionOptions,
  convolution,
  dropping,
  type Norm,
  normalization,
  requireMultiples,
  type SpatialDims,
  sequential,
  type UpsampleMode,
  upsampling,
} from './layers';
import { type Layer, type Network, type Pass, Scope } from './network';

export interface SegResNetOptions {
  readonly inChannels: number;
  readonly classes: number;
  /** @default 3 */
  readonly spatialDims?: SpatialDims;
  /** Filters of the first level; each level below has twice as many. @default 8 */
  readonly initFilters?: number;
  /** Residual blocks of each level on the way down. @default [1, 2, 2, 4] */
  readonly blocksDown?: readonly number[];
  /** Residual blocks of each level on the way up, one level fewer. @default [1, 1, 1] */
  readonly blocksUp?: readonly number[];
  /** @default group, of 8 groups */
  readonly norm?: Norm;
  /** @default relu */
  readonly activation?: ActivationName;
  /** Share of channels that are dropped after the first convolution. @default 0 */
  readonly dropout?: number;
  /** How sides are doubled on the way up. @default nontrainable, linear interpolation */
  readonly upsampleMode?: UpsampleMode;
  /** Whether the features become logits; without it the network gives its features, [N, ...spatial, initFilters]. @default true */
  readonly convFinal?: boolean;
  /** Levels of the decoder beside the finest that are taught while training: deep supervision. @default 0 */
  readonly supervisedLevels?: number;
}

type Complete = Required<SegResNetOptions>;

function conv(
  scope: Scope,
  channels: number,
  filters: number,
  { spatialDims }: Complete,
  options: Partial<ConvolutionOptions> = {},
): Layer {
  return convolution(scope.at('conv'), channels, filters, { kernel: 3, padding: 1, spatialDims, ...options });
}

/** Twice normalisation, activation and convolution, added to what came in. */
function residualBlock(scope: Scope, channels: number, options: Complete): Layer {
  const act = activation(scope.at('act'), options.activation);
  const half = (number: 1 | 2) =>
    checkpointed(scope, () =>
      sequential(
        normalization(scope.at(`norm${number}`), options.norm, channels, act),
        conv(scope.at(`conv${number}`), channels, channels, options),
      ),
    );
  const branch = sequential(half(1), half(2));
  return (x, pass) => branch(x, pass).add(x);
}

function blocks(scope: Scope, first: number, count: number, channels: number, options: Complete): Layer[] {
  return Array.from({ length: count }, (_, index) => residualBlock(scope.at(first + index), channels, options));
}

/** The first filters, or below the first level half the sides; then the level's blocks. */
function downLevel(root: Scope, level: number, options: Complete): Layer {
  const channels = options.initFilters * 2 ** level;
  const scope = root.at('down_layers').at(level);
  const begin =
    level === 0
      ? [conv(root.at('convInit'), options.inChannels, channels, options), dropping(root, options.dropout, true)]
      : [conv(scope.at(0), channels / 2, channels, options, { stride: 2 })];
  return sequential(...begin, ...blocks(scope, 1, options.blocksDown[level] as number, channels, options));
}

/** Doubles the sides, adds the features of the same level on the way down, then the level's blocks. */
function upLevel(root: Scope, index: number, options: Complete) {
  const channels = options.initFilters * 2 ** (options.blocksUp.length - index - 1);
  const up = root.at('up_samples').at(index);
  const double = sequential(
    conv(up.at(0), 2 * channels, channels, options, { kernel: 1, padding: 0 }),
    upsampling(up.at(1), options.upsampleMode, channels, options.spatialDims),
  );
  const refine = sequential(
    ...blocks(root.at('up_layers').at(index), 0, options.blocksUp[index] as number, channels, options),
  );
  return ([x, skip]: readonly [Tensor, Tensor], pass: Pass) => refine(double(x, pass).add(skip), pass);
}

function check({ blocksDown, blocksUp }: Complete): void {
  if (blocksUp.length === blocksDown.length - 1) return;
  throw new UserError(
    `the SegResNet has ${blocksDown.length} levels down and ${blocksUp.length} up; it takes one fewer up than down.`,
    'choose blocks_up with one number fewer than blocks_down.',
  );
}

/**
 * [N, ...spatial, inChannels] -> logits [N, ...spatial, classes], for sides that are multiples of 2 ^ the number of levels up.
 *
 * @throws UserError when the options contradict each other; when it runs, where a side is no such multiple
 */
export function segresnet(options: SegResNetOptions): Network {
  const complete: Complete = {
    spatialDims: 3,
    initFilters: 8,
    blocksDown: [1, 2, 2, 4],
    blocksUp: [1, 1, 1],
    norm: { name: 'group', groups: 8 },
    activation: 'relu',
    dropout: 0,
    upsampleMode: 'nontrainable',
    convFinal: true,
    supervisedLevels: 0,
    ...options,
  };
  check(complete);
  const { initFilters, convFinal, blocksDown, blocksUp } = complete;
  const root = Scope.root();
  const down = blocksDown.map((_, level) => checkpointed(root, () => downLevel(root, level, complete)));
  const up = blocksUp.map((_, index) => checkpointed(root, () => upLevel(root, index, complete)));
  const final = convFinal ? root.at('conv_final') : root.at('conv_final').unused();
  const end = checkpointed(root, () =>
    sequential(
      normalization(final.at(0), complete.norm, initFilters, activation(final.at(1), complete.activation)),
      conv(final.at(2), initFilters, complete.classes, complete, { kernel: 1, padding: 0, bias: true }),
    ),
  );
  const heads = supervisionHeads(root, complete.supervisedLevels, {
    ...{ network: 'SegResNet', classes: complete.classes, spatialDims: complete.spatialDims },
    channels: blocksUp.slice(1).map((_, level) => initFilters * 2 ** (level + 1)),
  });
  /** Features of all levels on the way up, the finest first. */
  const decoded = (images: Tensor, pass: Pass): Tensor[] => {
    requireMultiples('SegResNet', images, 2 ** blocksUp.length);
    const features: Tensor[] = [];
    for (const level of down) features.push(level(features.at(-1) ?? images, pass));
    const results = [features.pop() as Tensor];
    for (const level of up) results.unshift(level([results[0] as Tensor, features.pop() as Tensor], pass));
    return results;
  };
  const finish: Layer = (x, pass) => (convFinal ? end(x, pass) : x);
  const forward: Layer = (images, pass) => finish(decoded(images, pass)[0] as Tensor, pass);
  const levels = (images: Tensor, pass: Pass) => {
    const [finest, ...coarser] = decoded(images, pass) as [Tensor, ...Tensor[]];
    return [finish(finest, pass), ...heads.map((head, index) => head(coarser[index] as Tensor, pass))];
  };
  return { parameters: root.parameters, forward, ...(heads.length > 0 && { levels }) };
}
