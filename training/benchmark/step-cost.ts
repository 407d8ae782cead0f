// What a training step costs, op by op, from TensorFlow's own trace of it: floating-point operations, and the time that went where.
import protobuf from 'protobufjs';

// Field numbers: tensorflow/core/framework/step_stats.proto, tensor_description.proto and tensor_shape.proto of TensorFlow 2.21.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message RunMetadata { StepStats step_stats = 1; }
  message StepStats { repeated DeviceStepStats dev_stats = 1; }
  message DeviceStepStats { string device = 1; repeated NodeExecStats node_stats = 2; }
  message NodeExecStats {
    string node_name = 1;
    int64 all_start_micros = 2;
    int64 op_start_rel_micros = 3;
    int64 op_end_rel_micros = 4;
    repeated NodeOutput output = 7;
    string timeline_label = 8;
  }
  message NodeOutput { int32 slot = 1; TensorDescription tensor_description = 3; }
  message TensorDescription { TensorShapeProto shape = 2; }
  message TensorShapeProto {
    message Dim { int64 size = 1; }
    repeated Dim dim = 2;
  }`,
  { keepCase: true },
);

/** An op that ran. */
interface Executed {
  readonly name: string;
  /** Its kind without what TensorFlow's rewriting puts around it: Conv3D for _MklNativeConv3D. */
  readonly op: string;
  readonly inputs: readonly string[];
  /** Shapes of the outputs, by their slots. */
  readonly outputs: ReadonlyMap<number, readonly number[]>;
  /** Microseconds. */
  readonly start: number;
  readonly end: number;
}

export interface StepCost {
  /** Floating-point operations of convolutions and matrix products, a product and a sum counted as two. */
  readonly operations: number;
  /** Seconds of those ops, added up over ops that ran at the same time. */
  readonly arithmetic: number;
  /** Seconds of all other ops, which move numbers more than they compute. */
  readonly moving: number;
  /** Seconds from the beginning of the first op to the end of the last. */
  readonly duration: number;
  /** Seconds of these in which no op ran. */
  readonly idle: number;
  /** The kinds of ops that take the most, and their share of all ops' time. */
  readonly largest: readonly { readonly op: string; readonly share: number }[];
}

interface Message {
  readonly step_stats: {
    readonly dev_stats: readonly {
      readonly node_stats: readonly {
        readonly node_name: string;
        readonly all_start_micros: number;
        readonly op_start_rel_micros: number;
        readonly op_end_rel_micros: number;
        readonly timeline_label: string;
        readonly output: readonly {
          readonly slot: number;
          readonly tensor_description: { readonly shape: { readonly dim: readonly { readonly size: number }[] } };
        }[];
      }[];
    }[];
  };
}

/** TensorFlow's trace of a run, with the fields that are read here. */
export const RunMetadata = root.lookupType('RunMetadata');

function executedOps(metadata: Uint8Array): Executed[] {
  const options = { longs: Number, defaults: true, arrays: true } as const;
  const { step_stats: stats } = RunMetadata.toObject(RunMetadata.decode(metadata), options) as Message;
  return stats.dev_stats.flatMap(({ node_stats: nodes }) =>
    nodes.map((node) => {
      // "[memory] name = Op(input, other:1)"
      const [, kind = '', inputs = ''] = / = (\w+)\((.*)\)$/.exec(node.timeline_label) ?? [];
      const shapes = node.output.map(({ slot, tensor_description: tensor }): [number, number[]] => [
        slot,
        tensor.shape?.dim.map(({ size }) => size) ?? [],
      ]);
      return {
        ...{ name: node.node_name, op: kind.replace(/^_(Mkl)?(Native)?(Fused)?/, ''), inputs: inputs.split(', ') },
        outputs: new Map(shapes),
        start: node.all_start_micros + node.op_start_rel_micros,
        end: node.all_start_micros + node.op_end_rel_micros,
      };
    }),
  );
}

const product = (shape: readonly number[]) => shape.reduce((size, length) => size * length, 1);

type Shape = readonly number[];

/** A convolution: each value of the filtered side is a sum over a filter. @param filtered [..., filters] @param kernel [..., C, filters] */
function ofConvolution(filtered: Shape | undefined, kernel: Shape | undefined): number {
  if (filtered === undefined || kernel === undefined) return 0;
  return (2 * product(filtered) * product(kernel)) / (kernel.at(-1) as number);
}

/** A product of matrices, or of many: from the sizes of both sides and of the result follows what is summed over. */
function ofProduct(a: Shape | undefined, b: Shape | undefined, result: Shape | undefined): number {
  if (a === undefined || b === undefined || result === undefined || product(result) === 0) return 0;
  const many = product(result.slice(0, -2));
  return 2 * product(result) * Math.sqrt((product(a) * product(b)) / (product(result) * many));
}

/**
 * A fully connected layer, or a gradient of it: one side tells the number of rows. (In bfloat16 TensorFlow's trace leaves some reshapes out.)
 *
 * @param y [..., outputs]
 * @param x [..., inputs]
 * @param weight [outputs, inputs]
 */
function ofLayer(y: Shape | undefined, x: Shape | undefined, weight: Shape | undefined): number {
  if (weight === undefined) return 0;
  const [outputs, inputs] = weight as [number, number];
  if (y !== undefined) return 2 * product(y) * inputs;
  return x === undefined ? 0 : 2 * product(x) * outputs;
}

/**
 * So many products of the tokens that ask with all tokens; what is computed again for the gradient does not count.
 *
 * @param qkv [N, tokens, 3, heads, size]
 * @param y [N, queries, heads, size], or its gradient
 */
function ofAttention(qkv: Shape | undefined, y: Shape | undefined, products: number): number {
  return qkv === undefined || y === undefined ? 0 : 2 * products * product(y) * (qkv[1] as number);
}

type Operations = (inputs: readonly (Shape | undefined)[], output: Shape | undefined) => number;

const forward: Operations = ([, kernel], y) => ofConvolution(y, kernel);
const matrices: Operations = ([a, b], result) => ofProduct(a, b, result);
const filterGradient: Operations = ([, , dy], kernel) => ofConvolution(dy, kernel);
const inputGradient: Operations = ([, kernel, dy]) => ofConvolution(dy, kernel);

/** Operations of the ops that do sums of products, from the shapes of what they take and give. */
const OPERATIONS: Readonly<Record<string, Operations>> = {
  ...{ Conv2D: forward, Conv3D: forward, MatMul: matrices, BatchMatMul: matrices, BatchMatMulV2: matrices },
  ...{ Conv2DBackpropInput: inputGradient, Conv3DBackpropInputV2: inputGradient },
  ...{ Conv2DBackpropFilter: filterGradient, Conv3DBackpropFilterV2: filterGradient },
  ...{ ScanlineConvolution: forward, ScanlineActivatedConvolution: forward },
  ...{ ScanlineConvolutionGradInput: ([dy, kernel]) => ofConvolution(dy, kernel) },
  ...{ ScanlineActivatedConvolutionGradInput: ([dy, kernel]) => ofConvolution(dy, kernel) },
  ...{ ScanlineConvolutionGradFilter: ([dy], kernel) => ofConvolution(dy, kernel) },
  ...{
    ScanlineVolumeConvolution: forward,
    ScanlineVolumeConvolutionTransposed: ([x, kernel]) => ofConvolution(x, kernel),
    ScanlineVolumeConvolutionGradFilter: ([, coarse], kernel) => ofConvolution(coarse, kernel),
  },
  // the weights of a convolution that looks at one pixel
  ...{
    ScanlineNormalizedProduct: ([, , , , weight], y) => ofConvolution(y, weight),
    ScanlineNormalizedProductGrad: ([dy, , , , , weight]) => 2 * ofConvolution(dy, weight),
  },
  ...{ ScanlineLinear: ([x, weight], y) => ofLayer(y, x, weight) },
  ...{ ScanlineLinearGradInput: ([dy, weight], dx) => ofLayer(dy, dx, weight) },
  ...{ ScanlineLinearGradWeight: ([dy, x], dweight) => ofLayer(dy, x, dweight) },
  ...{
    ScanlineAttention: ([qkv], y) => ofAttention(qkv, y, 2),
    ScanlineAttentionGrad: ([dy, qkv]) => ofAttention(qkv, dy, 4),
  },
  ...{ ScanlineActivatedConvolutionGradFilter: ([dy], kernel) => ofConvolution(dy, kernel) },
};

/** Microseconds that lie in one of the spans at least. */
function covered(spans: readonly { start: number; end: number }[]): number {
  let [total, until] = [0, Number.NEGATIVE_INFINITY];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    total += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return total;
}

/** @param metadata a serialised RunMetadata of a run that was traced */
export function stepCost(metadata: Uint8Array): StepCost {
  const executed = executedOps(metadata);
  const outputs = new Map(executed.map(({ name, outputs }) => [name, outputs]));
  const shapeOf = (input: string) => {
    const [name = '', slot = '0'] = input.split(':');
    return outputs.get(name)?.get(Number(slot));
  };
  const seconds = { arithmetic: 0, moving: 0 };
  const kinds = new Map<string, number>();
  let operations = 0;
  for (const { op, inputs, outputs, start, end } of executed) {
    const count = OPERATIONS[op];
    operations += count?.(inputs.map(shapeOf), outputs.get(0)) ?? 0;
    seconds[count ? 'arithmetic' : 'moving'] += (end - start) / 1e6;
    kinds.set(op, (kinds.get(op) ?? 0) + (end - start) / 1e6);
  }
  const span = executed.reduce((last, { end }) => Math.max(last, end), 0) - Math.min(...executed.map((op) => op.start));
  const all = Math.max(seconds.arithmetic + seconds.moving, 1e-9);
  const largest = [...kinds].sort(([, a], [, b]) => b - a).slice(0, 5);
  return {
    ...{ operations, ...seconds, duration: span / 1e6, idle: Math.max(0, span - covered(executed)) / 1e6 },
    largest: largest.map(([op, time]) => ({ op, share: time / all })),
  };
}
