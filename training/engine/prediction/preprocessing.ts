// What happens to raw pixel values before the network, inside the graph: so that a model takes images as they are.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { ImageSize } from '../../data/decode';
import { tf } from '../../native/tensorflow';

export type Normalization = 'minmax' | 'zscore' | 'none';

/** Height, width and channels: each image is scaled by its own values. */
const IMAGE_AXES = [1, 2, 3];

/** The divisor, or 1 where it is 0 (an image of one value). */
function orOne(divisor: Tensor): Tensor {
  const flat = divisor.lessEqual(0).cast('float32');
  return divisor.add(flat);
}

/**
 * Scales each image of a batch, [N, H, W, C] of raw pixel values.
 *
 * minmax: its range to 0..1 (MONAI's ScaleIntensity); zscore: mean 0, deviation 1 (MONAI's NormalizeIntensity).
 */
export function normalize(images: Tensor, kind: Normalization): Tensor {
  if (kind === 'none') return images;
  if (kind === 'minmax') {
    const low = images.min(IMAGE_AXES, true);
    return images.sub(low).div(orOne(images.max(IMAGE_AXES, true).sub(low)));
  }
  const centred = images.sub(images.mean(IMAGE_AXES, true));
  return centred.div(orOne(centred.square().mean(IMAGE_AXES, true).sqrt()));
}

/** What a program feeds a network with. */
export interface NetworkInput {
  /** Shape of a sample as it comes in, channels last: [H, W, C] of images, [I, J, K, C] of volumes. */
  readonly sample: readonly number[];
  /** From what comes in to what the network sees; for the body of a program. */
  readonly prepare: (samples: Tensor) => Tensor;
}

/** Images of raw pixel values. */
export function imageInput({ height, width, channels }: ImageSize, kind: Normalization): NetworkInput {
  return { sample: [height, width, channels], prepare: (images) => normalize(images, kind) };
}

/** Windows of volumes, which are prepared before they come to the network. */
export function windowInput(shape: readonly number[], channels: number): NetworkInput {
  return { sample: [...shape, channels], prepare: (windows) => windows };
}

/** Class probabilities from logits, for the body of a program. */
export function probabilities(logits: Tensor): Tensor {
  return tf.softmax(logits);
}
