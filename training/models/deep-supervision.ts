// Deep supervision: heads on the levels of a decoder, which are taught too while the network is trained, and gone afterwards.
import { UserError } from '../errors';
import { convolution, type SpatialDims } from './layers';
import type { Layer, Scope } from './network';

export interface Decoder {
  /** The network, as errors call it. */
  readonly network: string;
  readonly classes: number;
  readonly spatialDims: SpatialDims;
  /** Channels of each level below the finest, from the finer to the coarser. */
  readonly channels: readonly number[];
}

/**
 * A convolution of kernel 1 for each of the finest levels below the first, as MONAI's SegResNetDS and nnU-Net have them.
 *
 * @param root of the network
 * @throws UserError where there are fewer levels than heads
 */
export function supervisionHeads(
  root: Scope,
  count: number,
  { network, classes, spatialDims, channels }: Decoder,
): Layer[] {
  if (count > channels.length) {
    throw new UserError(
      `the ${network} is to have ${count} heads for deep supervision; its decoder has ${channels.length} levels beside the finest.`,
      channels.length > 0 ? `choose deep_supr_num ${channels.length} or less.` : 'leave out deep_supervision.',
    );
  }
  const scope = root.trainingOnly().at('deep_supervision_heads');
  return channels
    .slice(0, count)
    .map((width, index) => convolution(scope.at(index), width, classes, { kernel: 1, bias: true, spatialDims }));
}
