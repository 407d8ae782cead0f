// Whether a network, with its image size and batch, fits an instance's GPU memory: a simple estimate, made before it costs money.
import { type Hyperparameters, taskOf } from '../../../training/hyperparameters';
import { networkSize } from './network-size';

/**
 * GiB of one GPU by family; a process trains on one.
 * https://docs.aws.amazon.com/dlami/latest/devguide/gpu.html
 */
const GPU_MEMORY: Readonly<Record<string, number>> = {
  g4dn: 16,
  g5: 24,
  g6: 24,
  g6e: 48,
  p3: 16,
  p3dn: 32,
  p4d: 40,
  p4de: 80,
  p5: 80,
  p5e: 141,
  p5en: 141,
};

const GIB = 2 ** 30;

/** The CUDA context, cuDNN's workspace and TensorFlow's own: what an idle session on a GPU takes, rounded up. */
const FIXED = GIB;

/** fp32: a weight, its gradient, and Adam's two moments. */
const BYTES_OF_A_PARAMETER = 16;

/** What one sample of a training step is: its sides without channels, and how many of them a step has. */
export function sampleOf(h: Hyperparameters): { readonly sides: readonly number[]; readonly samples: number } {
  const isVolume = taskOf(h.model_name) === 'segmentation';
  const given = isVolume ? h.roi_size : h.img_size;
  const sides = Array.from({ length: h.spatial_dims }, (_, axis) => given[axis] ?? (given.at(-1) as number));
  return { sides, samples: h.batch_size * (isVolume ? h.num_samples : 1) };
}

/** Bytes of GPU memory that a training step takes, about; undefined for a network that it is not known of. */
export function estimateGpuMemory(hyperparameters: Hyperparameters): number | undefined {
  const { in_channels, precision } = hyperparameters;
  const { sides, samples } = sampleOf(hyperparameters);
  const size = networkSize(hyperparameters, sides, in_channels === '1' ? 1 : 3);
  if (size === undefined) return undefined;
  const bytes = precision === 'fp32' ? 4 : 2;
  return FIXED + BYTES_OF_A_PARAMETER * size.parameters + bytes * samples * size.activations;
}

/** Bytes of one GPU of an instance type; undefined where it has none, or is not known. */
export function gpuMemoryOf(instanceType: string): number | undefined {
  const gibibytes = GPU_MEMORY[/^ml\.([a-z0-9-]+)\./.exec(instanceType)?.[1] ?? ''];
  return gibibytes === undefined ? undefined : gibibytes * GIB;
}

/** A warning where training will not fit; undefined where it will, or where that is not known. */
export function memoryWarning(instanceType: string, hyperparameters: Hyperparameters): string | undefined {
  const needed = estimateGpuMemory(hyperparameters);
  const there = gpuMemoryOf(instanceType);
  if (needed === undefined || there === undefined || needed <= there) return undefined;
  const { model_name, precision } = hyperparameters;
  const isVolume = taskOf(model_name) === 'segmentation';
  const { sides, samples } = sampleOf(hyperparameters);
  const half = precision === 'fp32' ? ', set precision to bf16' : '';
  return (
    `${model_name} on ${isVolume ? 'crops' : 'images'} of ${sides.join(' x ')} in batches of ${samples} in ${precision} takes about ` +
    `${(needed / GIB).toFixed(0)} GiB; a GPU of ${instanceType} has ${there / GIB}. ` +
    `Lower batch_size or ${isVolume ? 'roi_size' : 'img_size'}${half}, or choose an instance type with larger GPUs.`
  );
}
