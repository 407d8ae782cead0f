// The dense block of DenseNet (Huang et al., https://arxiv.org/abs/1608.06993) for training, by the kernels of
// kernels/products/dense_layer.cc: one function with a gradient of its own, so that those of the features are added up in place instead of
// kept for each layer that reads them.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { isForOwnKernels } from './convolution';
import { type Affine, momentsOf, type Statistics } from './normalization';
import { differentiable, filled, float, float32, int, op, ops } from './op';

/** A batch normalisation that trains. */
export interface TrainedNorm {
  readonly affine: Affine;
  readonly running: Statistics;
  /** Takes the running statistics after this batch. */
  readonly update: (statistics: Statistics) => void;
}

/** A batch normalisation, ReLU and 1 x 1 convolution of all features so far, and the same again with 3 x 3. */
export interface DenseLayer {
  readonly norm1: TrainedNorm;
  /** [1, 1, C, bottleneck] */
  readonly weight1: Tensor;
  readonly norm2: TrainedNorm;
  /** [3, 3, bottleneck, growth] */
  readonly weight2: Tensor;
}

/** A tensor with the moments of its channels. */
interface Feature extends Statistics {
  readonly x: Tensor;
}

/** What a layer saves for its gradient: its output, its bottleneck z, and what normalises that, a * z + b. */
interface Trace {
  readonly feature: Feature;
  readonly bottleneck: Feature;
  readonly a: Tensor;
  readonly b: Tensor;
}

const MOMENTUM = float(0.1);
const EPSILON = { T: float32, epsilon: float(1e-5) };

const lists = (features: readonly Feature[]): Tensor[] => [
  ...features.map(({ x }) => x),
  ...features.map(({ mean }) => mean),
  ...features.map(({ variance }) => variance),
];

const runningOf = ({ running }: TrainedNorm): Tensor[] => [running.mean, running.variance];

/** Whether kernels/products/dense_layer.cc does a block with these layers of [N, H, W, C]: it takes multiples of 16 channels. */
export function isDenseBlockForOwnKernels(x: Tensor, layers: readonly DenseLayer[]): boolean {
  const STRIP = 16;
  const channels = (x.shape.at(-1) as number) % STRIP === 0;
  return channels && layers.every(({ weight2 }) => isForOwnKernels(weight2, { padding: 1 }));
}

function forward(
  features: readonly Feature[],
  layer: DenseLayer,
  [scale1, offset1, weight1, ...rest]: Tensor[],
): Trace {
  const [scale2, offset2, weight2] = rest as [Tensor, Tensor, Tensor];
  const [z, newMean1, newVariance1, mean, variance] = ops(
    'ScanlineNormalizedProduct',
    [scale1 as Tensor, offset1 as Tensor, ...runningOf(layer.norm1), weight1 as Tensor, ...lists(features)],
    { ...EPSILON, momentum: MOMENTUM, N: int(features.length) },
    5,
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  layer.norm1.update({ mean: newMean1, variance: newVariance1 });
  const bottleneck = { x: z, mean, variance };
  const [a, b, newMean2, newVariance2] = ops(
    'ScanlineBatchNormCoefficients',
    [scale2, offset2, ...runningOf(layer.norm2), ...lists([bottleneck])],
    { ...EPSILON, momentum: MOMENTUM, N: int(1) },
    4,
  ) as [Tensor, Tensor, Tensor, Tensor];
  layer.norm2.update({ mean: newMean2, variance: newVariance2 });
  const x = op('ScanlineActivatedConvolution', [z, weight2, a, b], { T: float32 });
  return { feature: { x, ...momentsOf(x) }, bottleneck, a, b };
}

/** The gradients so far of the features: each is d + k * x + l, where k and l are of all channels one after the other. */
interface Gradients {
  readonly d: readonly Tensor[];
  readonly k: Tensor;
  readonly l: Tensor;
}

/** The whole gradient of the last of the features. */
function lastOf(features: readonly Feature[], { d, k, l }: Gradients): Tensor {
  return op('ScanlineAddMultiple', [d.at(-1) as Tensor, (features.at(-1) as Feature).x, k, l], { T: float32 });
}

/** Through the last of the features: the gradients of those before it, and of the layer's parameters. */
function backward(
  features: readonly Feature[],
  gradients: Gradients,
  { bottleneck, a, b }: Trace,
  [scale1, offset1, weight1, ...rest]: Tensor[],
): { gradients: Gradients; parameters: Tensor[] } {
  const [scale2, offset2, weight2] = rest as [Tensor, Tensor, Tensor];
  const dy = lastOf(features, gradients);
  const before = features.slice(0, -1);
  const { x: z, mean } = bottleneck;
  const [g, sum, product] = ops(
    'ScanlineActivatedConvolutionGradInput',
    [dy, weight2, a, b, z, mean],
    { T: float32 },
    3,
  );
  const dweight2 = op('ScanlineActivatedConvolutionGradFilter', [dy, z, weight2, a, b], { T: float32 });
  const [dscale2, doffset2, gk, gl] = ops(
    'ScanlineBatchNormGradCoefficients',
    [sum as Tensor, product as Tensor, scale2, offset2, ...lists([bottleneck])],
    { ...EPSILON, N: int(1) },
    4,
  ) as [Tensor, Tensor, Tensor, Tensor];
  const affine = [weight1, scale1, offset1] as Tensor[];
  const [dweight1, dscale1, doffset1, k, l, ...d] = ops(
    'ScanlineNormalizedProductGrad',
    [g as Tensor, z, a, gk, gl, ...affine, gradients.k, gradients.l, ...lists(before), ...gradients.d.slice(0, -1)],
    { ...EPSILON, N: int(before.length) },
    5 + before.length,
  ) as [Tensor, Tensor, Tensor, Tensor, Tensor, ...Tensor[]];
  return { gradients: { d, k, l }, parameters: [dscale1, doffset1, dweight1, dscale2, doffset2, dweight2] };
}

/** How many tensors of a layer are trained, and how many it saves. */
const [TRAINED, SAVED] = [6, 8];

const trainedOf = ({ norm1, weight1, norm2, weight2 }: DenseLayer): Tensor[] => [
  ...[norm1.affine.scale, norm1.affine.offset, weight1],
  ...[norm2.affine.scale, norm2.affine.offset, weight2],
];

const savedOf = ({ feature, bottleneck, a, b }: Trace): Tensor[] => [...lists([feature]), ...lists([bottleneck]), a, b];

function traceOf(saved: Tensor[]): Trace {
  const [x, mean, variance, z, zMean, zVariance, a, b] = saved as [
    ...[Tensor, Tensor, Tensor, Tensor],
    ...[Tensor, Tensor, Tensor, Tensor],
  ];
  return { feature: { x, mean, variance }, bottleneck: { x: z, mean: zMean, variance: zVariance }, a, b };
}

function portions(tensors: readonly Tensor[], length: number): Tensor[][] {
  return Array.from({ length: tensors.length / length }, (_, i) => tensors.slice(i * length, (i + 1) * length));
}

/**
 * A dense block, batch normalisation and ReLU: of x and of what each layer makes of all before it, side by side.
 *
 * @param x [N, H, W, C]
 * @param layers that isDenseBlockForOwnKernels holds of
 * @returns [N, H, W, C + growth of each layer]
 */
export function denseBlock(x: Tensor, layers: readonly DenseLayer[], closing: TrainedNorm): Tensor {
  const first = momentsOf(x);
  const attributes = { ...EPSILON, N: int(layers.length + 1), relu: true };
  return differentiable(
    [x, ...layers.flatMap(trainedOf), closing.affine.scale, closing.affine.offset],
    (inputs, save) => {
      const [x, scale, offset] = [inputs[0], inputs.at(-2), inputs.at(-1)] as [Tensor, Tensor, Tensor];
      const features: Feature[] = [{ x, ...first }];
      const traces = portions(inputs.slice(1, -2), TRAINED).map((parameters, i) => {
        const trace = forward(features, layers[i] as DenseLayer, parameters);
        features.push(trace.feature);
        return trace;
      });
      const [y, mean, variance] = ops(
        'ScanlineBatchNorm',
        [scale, offset, ...runningOf(closing), ...lists(features)],
        { ...attributes, momentum: MOMENTUM },
        3,
      ) as [Tensor, Tensor, Tensor];
      closing.update({ mean, variance });
      save([...inputs, first.mean, first.variance, ...traces.flatMap(savedOf)]);
      return y;
    },
    (dy, saved) => {
      const inputs = saved.slice(0, 3 + layers.length * TRAINED);
      const [mean, variance, ...rest] = saved.slice(inputs.length) as [Tensor, Tensor, ...Tensor[]];
      const [x, scale, offset] = [inputs[0], inputs.at(-2), inputs.at(-1)] as [Tensor, Tensor, Tensor];
      const traces = portions(rest, SAVED).map(traceOf);
      const features = [{ x, mean, variance }, ...traces.map(({ feature }) => feature)];
      const outputs = ops(
        'ScanlineBatchNormGrad',
        [dy, scale, offset, ...lists(features)],
        attributes,
        2 + features.length,
      );
      const [dscale, doffset, ...d] = outputs as [Tensor, Tensor, ...Tensor[]];
      const none = filled([scale.shape[0] as number], 0);
      let gradients: Gradients = { d, k: none, l: none };
      const parameters = portions(inputs.slice(1, -2), TRAINED);
      const found: Tensor[][] = [];
      for (const [i, trace] of [...traces.entries()].reverse()) {
        const result = backward(features.slice(0, i + 2), gradients, trace, parameters[i] as Tensor[]);
        gradients = result.gradients;
        found.unshift(result.parameters);
      }
      return [lastOf(features.slice(0, 1), gradients), ...found.flat(), dscale, doffset];
    },
  );
}
