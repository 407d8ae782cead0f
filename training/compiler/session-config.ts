// TensorFlow's session settings, as the few fields of ConfigProto that Scanline sets.
import protobuf from 'protobufjs';

export type Precision = 'fp32' | 'bf16' | 'fp16';

export interface SessionConfig {
  /** Threads that share one op's work. @default all cores */
  readonly threads?: number;
  /**
   * Ops that run at the same time. On a CPU each op keeps all cores busy by itself; two of them drive each other's data out of the caches:
   * one at a time, DenseNet121's step takes 11 to 15 % less time, and that of ViT-B/16 4 %.
   *
   * @default 1, on a GPU as many as the machine has cores
   */
  readonly concurrentOps?: number;
  /** What matrix products and convolutions are computed in; variables stay float32. @default fp32 */
  readonly precision?: Precision;
  /** Whether the session runs on a GPU. @default false */
  readonly gpu?: boolean;
}

// Field numbers: tensorflow/core/protobuf/config.proto and rewriter_config.proto of TensorFlow 2.21.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message ConfigProto {
    int32 intra_op_parallelism_threads = 2;
    int32 inter_op_parallelism_threads = 5;
    GPUOptions gpu_options = 6;
    bool allow_soft_placement = 7;
    GraphOptions graph_options = 10;
  }
  message GPUOptions { bool allow_growth = 4; }
  message GraphOptions {
    OptimizerOptions optimizer_options = 3;
    RewriterConfig rewrite_options = 10;
  }
  message OptimizerOptions {
    enum Level { L1 = 0; L0 = -1; }
    bool do_common_subexpression_elimination = 1;
    Level opt_level = 3;
    int64 max_folded_constant_in_bytes = 6;
  }
  message RewriterConfig {
    enum Toggle { DEFAULT = 0; ON = 1; }
    enum Iterations { DEFAULT_NUM_ITERS = 0; ONE = 1; TWO = 2; }
    Iterations meta_optimizer_iterations = 12;
    Toggle auto_mixed_precision = 23;
    repeated string optimizers = 100;
  }`,
  { keepCase: true },
);

const ON = 1;
const L0 = -1;

/**
 * Bytes. TensorFlow's default of 10 MiB folds the initial values of a network into constants, which stay beside the variables: a copy
 * of the whole network and its optimizer's state that nobody reads again.
 */
const LARGEST_FOLDED_CONSTANT = 2 ** 16;

/** Our own kernels that do what mixed precision is for: they are given bfloat16. */
const OWN_PRODUCTS = [
  'ScanlineConvolution',
  'ScanlineConvolutionGradInput',
  'ScanlineConvolutionGradFilter',
  'ScanlineActivatedConvolution',
  'ScanlineActivatedConvolutionGradInput',
  'ScanlineActivatedConvolutionGradFilter',
  'ScanlineNormalizedProduct',
  'ScanlineNormalizedProductGrad',
  'ScanlineLinear',
  'ScanlineLinearGradInput',
  'ScanlineLinearGradWeight',
  'ScanlineAttention',
  'ScanlineAttentionGrad',
];

/** Our own kernels that may compute in bfloat16 where what feeds them does; mixed precision takes them from the environment only. */
const OWN_KERNELS = [
  'ScanlineMoments',
  'ScanlineBatchNorm',
  'ScanlineBatchNormGrad',
  'ScanlineBatchNormCoefficients',
  'ScanlineBatchNormGradFromSums',
  'ScanlineBatchNormGradCoefficients',
  'ScanlineAddMultiple',
  'ScanlineLayerNorm',
  'ScanlineLayerNormGrad',
  'ScanlineGelu',
  'ScanlineGeluGrad',
  'ScanlineSoftmaxGrad',
  'ScanlineGroupNorm',
  'ScanlineGroupNormGrad',
  'ScanlineAxisProduct',
  'ScanlineWindowSoftmax',
  'ScanlineWindowSoftmaxGrad',
];

/**
 * How TensorFlow rewrites a graph before its first run. On a CPU, where our kernels are fused already, most of its rewriting makes no
 * step faster, and takes longer than ten steps: two passes are left, for mixed precision, and to drop the dependencies that others imply,
 * which makes DenseNet121's steps 6 % faster. To fold constants it would draw the first weights on one thread, to drop them again for
 * their size. On a GPU layouts and fusions are TensorFlow's own to choose.
 */
function graphOptions({ precision = 'fp32', gpu }: SessionConfig): object {
  if (precision !== 'fp32') {
    process.env.TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_ADD = OWN_PRODUCTS.join();
    process.env.TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_INFERLIST_ADD = OWN_KERNELS.join();
  }
  if (gpu)
    return {
      optimizer_options: { max_folded_constant_in_bytes: LARGEST_FOLDED_CONSTANT },
      // a second round of rewriting finds nothing more in a training step, and takes a third of the time before the first one
      rewrite_options: { meta_optimizer_iterations: 1, ...(precision !== 'fp32' && { auto_mixed_precision: ON }) },
    };
  return {
    optimizer_options: { opt_level: L0, do_common_subexpression_elimination: true },
    rewrite_options: {
      meta_optimizer_iterations: 1,
      optimizers: [...(precision === 'fp32' ? [] : ['auto_mixed_precision_onednn_bfloat16']), 'dependency'],
    },
  };
}

/** The settings as a serialised ConfigProto. */
export function encodeSessionConfig(config: SessionConfig): Uint8Array {
  const message = root.lookupType('ConfigProto');
  return message
    .encode(
      message.create({
        intra_op_parallelism_threads: config.threads ?? 0,
        inter_op_parallelism_threads: config.concurrentOps ?? (config.gpu ? 0 : 1),
        gpu_options: { allow_growth: true },
        allow_soft_placement: true,
        graph_options: graphOptions(config),
      }),
    )
    .finish();
}
