// The interface of Scanline's C++ addon (addon/, kernels/): TensorFlow graphs and sessions.
import type { OpAttribute } from './tensorflow';

export type TensorData = Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array | Float64Array;

/** One output of an operation in a graph. */
export interface GraphOutput {
  /** Position among the outputs of all operations of the graph. */
  readonly id: number;
  /** -1 for a dimension that is not known; null where not even their number is. */
  readonly shape: number[] | null;
  /** A TF_DataType (tensorflow/c/tf_datatype.h). */
  readonly dtype: number;
}

export interface Feed {
  readonly output: number;
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface Fetched {
  readonly shape: number[];
  readonly data: TensorData;
}

export interface NativeGraph {
  /**
   * Adds an operation; TensorFlow infers its output shapes, nothing is executed.
   *
   * @param inputs ids of outputs; an array of ids for a list argument (ConcatV2, Pack, AddN)
   * @param controls operations that must have run before
   * @throws Error with TensorFlow's message when it refuses the operation
   */
  addOperation(
    type: string,
    name: string,
    inputs: readonly (number | readonly number[])[],
    attributes: readonly OpAttribute[],
    controls: readonly number[],
  ): { operation: number; outputs: GraphOutput[] };
  /** The graph as a serialised GraphDef. */
  toGraphDef(): Uint8Array;
  operationName(operation: number): string;
}

export interface NativeSession {
  /**
   * Runs the graph on a thread of its own pool. A run sees the operations that were added before it.
   *
   * @returns the fetched outputs in order; with `trace`, a serialised RunMetadata with the time of every op follows them
   */
  run(
    feeds: readonly Feed[],
    fetches: readonly number[],
    targets: readonly number[],
    trace?: boolean,
  ): Promise<Fetched[]>;
  /** Frees the session and its variables; runs in progress are waited for. */
  close(): void;
}

export interface NativeModule {
  /** How many threads share the work of one of Scanline's own kernels; to be called before the first runs. */
  setKernelThreads(count: number): void;
  /** The families of processors that this one is of, the lowest first: what SCANLINE_CPU_FAMILY may name. */
  readonly families: readonly string[];
  Graph: new () => NativeGraph;
  /** @param config a serialised ConfigProto */
  Session: new (
    graph: NativeGraph,
    config: Uint8Array,
  ) => NativeSession;
}

/** The addon that loads TensorFlow's library quietly, before those that are linked to it. */
export interface NativeLoader {
  /** @throws Error with the dynamic linker's message */
  load(path: string): void;
}
