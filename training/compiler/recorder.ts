// Stands in for tfjs-node's binding while a function runs: every op becomes an operation of a graph instead of being executed.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { NativeGraph, TensorData } from '../native/addon';
import { backend, type OpAttribute, type TensorflowBinding, type TensorMetadata, tf } from '../native/tensorflow';
import { AttributeType, DataType } from '../ops/op';

/** Ids of graph outputs start here, so that they are never taken for ids of eager tensors. */
const FIRST_ID = 2 ** 40;

/** How many of an op's inputs stand alone before and after its list arguments, and how many lists of the same length there are. */
interface ListInputs {
  readonly before?: number;
  readonly lists?: number;
  readonly after?: number;
}

const LIST_INPUTS: Readonly<Record<string, ListInputs>> = {
  ConcatV2: { after: 1 },
  Pack: {},
  AddN: {},
  ScanlineBatchNorm: { before: 4, lists: 3 },
  ScanlineBatchNormGrad: { before: 3, lists: 3 },
  ScanlineBatchNormCoefficients: { before: 4, lists: 3 },
  ScanlineBatchNormGradFromSums: { before: 5, lists: 3 },
  ScanlineBatchNormGradCoefficients: { before: 4, lists: 3 },
  ScanlineNormalizedProduct: { before: 5, lists: 3 },
  ScanlineNormalizedProductGrad: { before: 10, lists: 4 },
};

/** Inputs as they come from tfjs, one after the other, put into the lists that the op takes. */
function arrange(ids: readonly number[], { before = 0, lists = 1, after = 0 }: ListInputs): Input[] {
  const length = (ids.length - before - after) / lists;
  const list = (index: number) => ids.slice(before + index * length, before + (index + 1) * length);
  return [
    ...ids.slice(0, before),
    ...Array.from({ length: lists }, (_, index) => list(index)),
    ...ids.slice(ids.length - after),
  ];
}

/** A constant of more elements than this that are all equal becomes a Fill, for a graph carries its constants. */
const LARGEST_UNIFORM_CONSTANT = 64;

/** Constants of so many elements at most, shapes and factors above all, are in a graph once. */
const LARGEST_SHARED_CONSTANT = 8;

type Input = number | number[];

/** The operations that touched a variable in one recording, for the order between them. */
interface VariableUse {
  lastWrite?: number;
  readonly reads: number[];
  /** Operations that took what the reads gave. */
  readonly consumers: number[];
}

/** A typed array as TensorFlow's memory holds the type; tfjs gives booleans and whole numbers also as plain arrays. */
function toTensorData(values: unknown, dtype: number): TensorData {
  if (ArrayBuffer.isView(values)) return values as TensorData;
  const numbers = Array.from(values as ArrayLike<number>);
  if (dtype === DataType.bool || dtype === DataType.uint8) return Uint8Array.from(numbers);
  return dtype === DataType.int32 ? Int32Array.from(numbers) : Float32Array.from(numbers);
}

/**
 * A graph under construction, op by op, from what tfjs executes.
 *
 * Reads and writes of a variable keep the order in which they were recorded, and a write waits for the consumers of what was read
 * before: otherwise TensorFlow would copy the variable to keep their view of it.
 */
export class Recorder {
  /** Operations without an output (assignments, updates) of the recording in progress: they must be run for their effect. */
  private effects: number[] = [];
  private uses = new Map<number, VariableUse>();
  private useOfRead = new Map<number, VariableUse>();
  /** The operation that an output is of. */
  private readonly producers = new Map<number, number>();
  /** Outputs of small constants, by what they are. */
  private readonly constants = new Map<string, number>();
  private operations = 0;

  constructor(private readonly graph: NativeGraph) {}

  /**
   * Runs a function whose tensors are outputs of the graph.
   *
   * @returns what the function returned, and the operations to run for their effect
   * @throws Error when the function reads a tensor's values: they do not exist while recording
   */
  record<Result>(body: () => Result): { result: Result; effects: number[] } {
    [this.effects, this.uses, this.useOfRead] = [[], new Map(), new Map()];
    const original = backend.binding;
    backend.binding = this.standInFor(original);
    try {
      let result: Result | undefined;
      tf.tidy(() => {
        result = body();
      });
      return { result: result as Result, effects: this.effects };
    } finally {
      backend.binding = original;
    }
  }

  /** The output behind a tensor of the recording in progress. */
  outputOf(tensor: Tensor): number {
    return this.outputId(backend.getInputTensorIds([tensor])[0] as number);
  }

  /** A tensor of the recording in progress for an output that the graph has already. */
  tensor(output: number, shape: readonly number[], dtype: number): Tensor {
    if (dtype === DataType.resource && !this.uses.has(output)) this.uses.set(output, { reads: [], consumers: [] });
    return backend.createOutputTensor({ id: FIRST_ID + output, shape: [...shape], dtype });
  }

  /**
   * Adds an operation and gives its outputs as tensors.
   *
   * @param after operations that it waits for, beside those that it takes something from
   */
  add(name: string, inputs: Input[], attributes: OpAttribute[], after: readonly number[] = []): TensorMetadata[] {
    const touched = this.variablesAmong(inputs);
    const controls = [...this.controlsFor(name, touched), ...after];
    const label = `${name}_${this.operations++}`;
    const { operation, outputs } = this.graph.addOperation(name, label, inputs, attributes, controls);
    if (outputs.length === 0) this.effects.push(operation);
    for (const { id } of outputs) this.producers.set(id, operation);
    this.note(
      name,
      operation,
      inputs.flat(),
      touched,
      outputs.map((output) => output.id),
    );
    return outputs.map(({ id, shape, dtype }) => ({ id: FIRST_ID + id, shape: shape ?? [], dtype }));
  }

  private variablesAmong(inputs: Input[]): VariableUse[] {
    return inputs.flat().flatMap((id) => this.uses.get(id) ?? []);
  }

  private controlsFor(name: string, touched: VariableUse[]): number[] {
    const isRead = name === 'ReadVariableOp';
    const before = touched.flatMap(({ lastWrite, reads, consumers }) => [
      ...(lastWrite === undefined ? [] : [lastWrite]),
      ...(isRead ? [] : [...reads, ...consumers]),
    ]);
    return [...new Set(before)];
  }

  private note(name: string, operation: number, inputs: number[], touched: VariableUse[], outputs: number[]): void {
    for (const input of inputs) this.useOfRead.get(input)?.consumers.push(operation);
    for (const use of touched) {
      if (name === 'ReadVariableOp') {
        use.reads.push(operation);
        for (const output of outputs) this.useOfRead.set(output, use);
      } else {
        use.lastWrite = operation;
        use.reads.length = 0;
        use.consumers.length = 0;
      }
    }
  }

  /** A binding that adds to the graph; TensorFlow's constants are those of the binding that it stands in for. */
  private standInFor(original: TensorflowBinding): TensorflowBinding {
    const methods: Partial<TensorflowBinding> = {
      executeOp: (name, attributes, inputs, outputs) => this.executeOp(name, attributes, inputs, outputs),
      createTensor: (shape, dtype, values) => this.createTensor(shape, dtype, values),
      // outputs live as long as their graph
      together: (ids) => this.together(ids),
      deleteTensor: (id) => (id < FIRST_ID ? original.deleteTensor(id) : undefined),
      tensorDataSync: () => {
        throw new Error('a tensor was read while its graph is recorded: its values exist only when the graph runs');
      },
    };
    return Object.create(original, Object.getOwnPropertyDescriptors(methods));
  }

  private executeOp(name: string, attributes: OpAttribute[], inputs: number[], outputs: number): TensorMetadata[] {
    const ids = inputs.map((id) => this.outputId(id));
    const list = LIST_INPUTS[name];
    if (list === undefined) {
      if (attributes.some((attribute) => attribute.name === 'N')) {
        throw new Error(`op ${name} takes a list of inputs, which the recorder does not know; add it to LIST_INPUTS`);
      }
      return this.add(name, ids, attributes).slice(0, outputs);
    }
    return this.add(
      name,
      arrange(ids, list),
      attributes.filter((attribute) => attribute.name !== 'N'),
    ).slice(0, outputs);
  }

  /**
   * Identities that wait for the operations behind all of them. What is computed of them so has another input than what was computed
   * before, which keeps TensorFlow's rewriting from taking one for the other. (It takes an IdentityN apart.)
   */
  private together(ids: readonly number[]): TensorMetadata[] {
    const outputs = ids.map((id) => this.outputId(id));
    const after = outputs.flatMap((id) => this.producers.get(id) ?? []);
    return outputs.flatMap((id) => this.add('Identity', [id], [], after));
  }

  private createTensor(shape: number[], dtype: number, values: unknown): number {
    const data = toTensorData(values, dtype);
    if (data.length > LARGEST_UNIFORM_CONSTANT && data.every((value: number | bigint) => value === data[0])) {
      const dimensions = this.constant([shape.length], DataType.int32, Int32Array.from(shape));
      return (this.add('Fill', [dimensions, this.constant([], dtype, data.slice(0, 1))], [])[0] as TensorMetadata).id;
    }
    return FIRST_ID + this.constant(shape, dtype, data);
  }

  private constant(shape: number[], dtype: number, data: TensorData): number {
    if (data.length > LARGEST_SHARED_CONSTANT) return this.newConstant(shape, dtype, data);
    // by its bytes: 0 and -0 are two
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
    const key = `${dtype} ${shape} ${bytes}`;
    const output = this.constants.get(key) ?? this.newConstant(shape, dtype, data);
    this.constants.set(key, output);
    return output;
  }

  private newConstant(shape: number[], dtype: number, data: TensorData): number {
    const attributes = [
      { name: 'dtype', type: AttributeType.type, value: dtype },
      { name: 'value', type: AttributeType.tensor, value: { shape, dtype, data } },
    ];
    return (this.add('Const', [], attributes)[0] as TensorMetadata).id - FIRST_ID;
  }

  /** The output behind an id; a tensor made before the recording becomes a constant. */
  private outputId(id: number): number {
    if (id >= FIRST_ID) return id - FIRST_ID;
    throw new Error(
      'a tensor that was made before the recording cannot be used in it; pass it as an input, or make it inside',
    );
  }
}
