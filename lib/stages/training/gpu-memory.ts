// Whether a network, with its image size and batch, fits an instance's GPU memory: a simple estimate, made before it costs money.
import type { Hyperparameters } from '../../../training/hyperparameters';

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

const BLOCKS: Readonly<Record<string, readonly number[]>> = {
  densenet121: [6, 12, 24, 16],
  densenet169: [6, 12, 32, 32],
  densenet201: [6, 12, 48, 32],
  densenet264: [6, 12, 64, 48],
};

interface Size {
  readonly parameters: number;
  /** Numbers of one image that the forward pass keeps for the backward pass. */
  readonly activations: number;
}

/**
 * Each convolution keeps its input, each normalisation its input, each activation its output; a dense layer joins all that came
 * before it into a tensor of its own. Shapes: https://arxiv.org/abs/1608.06993, table 1.
 */
function densenet(hyperparameters: Hyperparameters, height: number, width: number, inChannels: number): Size {
  const { init_features: init, growth_rate: growth, bn_size, block_config, model_name } = hyperparameters;
  const blocks = block_config ?? (BLOCKS[model_name] as readonly number[]);
  const inner = bn_size * growth;
  let pixels = (height * width) / 4;
  let channels = init;
  let parameters = 49 * inChannels * init + 2 * init;
  let activations = 2 * init * pixels;
  pixels /= 4;
  activations += init * pixels;
  blocks.forEach((layers, index) => {
    for (let layer = 0; layer < layers; layer++) {
      parameters += 2 * channels + channels * inner + 2 * inner + 9 * inner * growth;
      activations += (2 * channels + 2 * inner + growth) * pixels;
      channels += growth;
    }
    activations += 2 * channels * pixels;
    if (index === blocks.length - 1) return;
    parameters += 2 * channels + channels * Math.floor(channels / 2);
    channels = Math.floor(channels / 2);
    activations += channels * pixels;
    pixels /= 4;
    activations += channels * pixels;
  });
  return { parameters: parameters + 2 * channels, activations };
}

/**
 * A block keeps, for each token, 8 vectors of its width and 2 of its perceptron's, and each head its scores before and after
 * softmax. After Korthikanti et al., https://arxiv.org/abs/2205.05198, section 4.1.
 */
function vit(hyperparameters: Hyperparameters, height: number, width: number, inChannels: number): Size {
  const { patch_size, hidden_size: hidden, mlp_dim: mlp, num_layers, num_heads } = hyperparameters;
  const [patchHeight = 16, patchWidth = patchHeight] = patch_size;
  const tokens = Math.ceil(height / patchHeight) * Math.ceil(width / patchWidth) + 1;
  const block = tokens * (8 * hidden + 2 * mlp) + 2 * num_heads * tokens ** 2;
  const parameters =
    num_layers * (4 * hidden ** 2 + 2 * hidden * mlp + 9 * hidden + mlp) +
    patchHeight * patchWidth * inChannels * hidden +
    tokens * hidden;
  return { parameters, activations: num_layers * block };
}

/** Bytes of GPU memory that training takes, about; undefined for a network that it is not known of. */
export function estimateGpuMemory(hyperparameters: Hyperparameters): number | undefined {
  const { model_name, img_size, batch_size, in_channels, precision } = hyperparameters;
  const [height = 224, width = height] = img_size;
  const inChannels = in_channels === '1' ? 1 : 3;
  const network = model_name === 'vit' ? vit : model_name in BLOCKS ? densenet : undefined;
  if (network === undefined) return undefined;
  const { parameters, activations } = network(hyperparameters, height, width, inChannels);
  const bytes = precision === 'fp32' ? 4 : 2;
  return FIXED + BYTES_OF_A_PARAMETER * parameters + bytes * batch_size * (activations + inChannels * height * width);
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
  const { model_name, img_size, batch_size, precision } = hyperparameters;
  return (
    `${model_name} on images of ${img_size.join(' x ')} in batches of ${batch_size} in ${precision} takes about ` +
    `${(needed / GIB).toFixed(0)} GiB; a GPU of ${instanceType} has ${there / GIB}. ` +
    'Lower batch_size or img_size, set precision to bf16, or choose an instance type with larger GPUs.'
  );
}
