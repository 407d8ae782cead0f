// Records programs as subgraphs of one TensorFlow graph and runs them in one session, off the main thread.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Feed, Fetched, NativeGraph, NativeSession } from '../native/addon';
import { native } from '../native/tensorflow';
import { AttributeType, DataType } from '../ops/op';
import { inBfloat16 } from '../ops/own-kernels';
import { Recorder } from './recorder';
import { type Body, type InputSpec, type Program, type Runtime, type Values, Variable } from './runtime';
import { encodeSessionConfig, type SessionConfig } from './session-config';

/** Values are moved in portions of about this many bytes, so that copies never double the memory that a large network takes. */
const PORTION = 128 * 2 ** 20;

/** How one variable is written from outside of a program. */
interface Replacement {
  readonly value: number;
  readonly assignment: number;
}

function portions(variables: readonly Variable[]): Variable[][] {
  const result: Variable[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const variable of variables) {
    if (bytes + variable.size * 4 > PORTION) {
      result.push([]);
      bytes = 0;
    }
    result.at(-1)?.push(variable);
    bytes += variable.size * 4;
  }
  return result;
}

/** @throws Error unless the values have the input's shape; TensorFlow itself takes any. */
function checkShape(name: string, { shape }: InputSpec, values: Values): void {
  const fits = (length: number, axis: number) => (shape[axis] === -1 ? length >= 0 : length === shape[axis]);
  if (values.shape.length === shape.length && values.shape.every(fits)) return;
  const text = `[${values.shape.join(', ')}]`;
  throw new Error(`input ${name} has the shape [${shape.join(', ')}], -1 for any length; it was given ${text}`);
}

export class CompiledRuntime implements Runtime {
  private readonly graph: NativeGraph = new native.Graph();
  private readonly recorder = new Recorder(this.graph);
  private readonly session: NativeSession;
  /** Outputs that are the values of variables. */
  private readonly values = new Map<Variable, number>();
  private readonly replacements = new Map<Variable, Replacement>();

  private receiveTrace: ((metadata: Uint8Array) => void) | undefined;

  constructor(private readonly config: SessionConfig) {
    this.session = new native.Session(this.graph, encodeSessionConfig(config));
  }

  variable(name: string, shape: readonly number[]): Variable {
    const { outputs } = this.graph.addOperation(
      'VarHandleOp',
      `variable_${name}`,
      [],
      [
        { name: 'dtype', type: AttributeType.type, value: DataType.float32 },
        { name: 'shape', type: AttributeType.shape, value: shape },
        { name: 'shared_name', type: AttributeType.string, value: name },
      ],
      [],
    );
    const handle = outputs[0]?.id as number;
    return new Variable(name, shape, () => this.recorder.tensor(handle, [], DataType.resource));
  }

  private placeholder(shape: readonly number[], dtype: number): number {
    const { outputs } = this.graph.addOperation(
      'Placeholder',
      `input_${this.placeholders++}`,
      [],
      [
        { name: 'dtype', type: AttributeType.type, value: dtype },
        { name: 'shape', type: AttributeType.shape, value: shape },
      ],
      [],
    );
    return outputs[0]?.id as number;
  }
  private placeholders = 0;

  program<Input extends string, Output extends string>(
    inputs: Readonly<Record<Input, InputSpec>>,
    body: Body<Input, Output>,
  ): Program<Input, Output> {
    const entries = Object.entries<InputSpec>(inputs).map(([name, { shape, dtype }]) => {
      return { name: name as Input, shape, dtype: DataType[dtype], output: this.placeholder(shape, DataType[dtype]) };
    });
    const record = <Result>(body: () => Result) =>
      this.recorder.record(this.config.precision === 'bf16' ? () => inBfloat16(body) : body);
    const { result: fetches, effects } = record(() => {
      const tensors = entries.map(({ name, output, shape, dtype }) => [
        name,
        this.recorder.tensor(output, shape, dtype),
      ]);
      const outputs = Object.entries<Tensor>(body(Object.fromEntries(tensors)));
      return outputs.map(([name, tensor]) => {
        const output = this.recorder.outputOf(tensor);
        tensor.dispose();
        return { name: name as Output, output };
      });
    });
    const ids = fetches.map(({ output }) => output);
    const run = async (values: Readonly<Record<Input, Values>>): Promise<Record<Output, Values>> => {
      for (const { name } of entries) checkShape(name, inputs[name], values[name]);
      const feeds: Feed[] = entries.map(({ name, output, dtype }) => ({ output, dtype, ...values[name] }));
      const receiveTrace = this.receiveTrace;
      this.receiveTrace = undefined;
      const fetched = await this.session.run(feeds, ids, effects, receiveTrace !== undefined);
      receiveTrace?.(fetched[ids.length]?.data as Uint8Array);
      return Object.fromEntries(fetches.map(({ name }, i) => [name, fetched[i]])) as unknown as Record<Output, Values>;
    };
    return { run };
  }

  private valueOf(variable: Variable): number {
    const value =
      this.values.get(variable) ?? this.recorder.record(() => this.recorder.outputOf(variable.read())).result;
    this.values.set(variable, value);
    return value;
  }

  private replacementOf(variable: Variable): Replacement {
    let replacement = this.replacements.get(variable);
    if (replacement === undefined) {
      const value = this.placeholder(variable.shape, DataType.float32);
      const { effects } = this.recorder.record(() =>
        variable.assign(this.recorder.tensor(value, variable.shape, DataType.float32)),
      );
      replacement = { value, assignment: effects[0] as number };
      this.replacements.set(variable, replacement);
    }
    return replacement;
  }

  async read(variables: readonly Variable[]): Promise<Float32Array[]> {
    const result: Fetched[] = [];
    for (const portion of portions(variables)) {
      const fetches = portion.map((variable) => this.valueOf(variable));
      result.push(...(await this.session.run([], fetches, [])));
    }
    return result.map(({ data }) => data as Float32Array);
  }

  async write(values: ReadonlyMap<Variable, Float32Array>): Promise<void> {
    for (const portion of portions([...values.keys()])) {
      const replacements = portion.map((variable) => this.replacementOf(variable));
      const feeds = portion.map((variable, i) => ({
        output: (replacements[i] as Replacement).value,
        dtype: DataType.float32,
        shape: variable.shape,
        data: values.get(variable) as Float32Array,
      }));
      await this.session.run(
        feeds,
        [],
        replacements.map(({ assignment }) => assignment),
      );
    }
  }

  /** Times every op of the next run of a program: gives a serialised RunMetadata (tensorflow/core/protobuf/config.proto). */
  traceNextRun(receive: (metadata: Uint8Array) => void): void {
    this.receiveTrace = receive;
  }

  /** All programs so far as a serialised GraphDef (tensorflow/core/framework/graph.proto). */
  graphDefinition(): Uint8Array {
    return this.graph.toGraphDef();
  }

  dispose(): void {
    this.session.close();
  }
}
