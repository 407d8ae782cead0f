// Runs programs op by op, as tfjs does: slow, and easy to debug. Every tensor exists and can be printed.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { float32, op, shape } from '../ops/op';
import { type Body, type InputSpec, type Program, type Runtime, type Values, Variable } from './runtime';

/** TensorFlow's name for a variable that is freed with its handle (core/framework/resource_handle.h). */
const ANONYMOUS = 'cd2c89b7-88b7-44c8-ad83-06c2a9158347';

/** What a function returns, its tensors freed. tf.tidy would walk through all values of the result, in search of tensors among them. */
function tidied<Result>(body: () => Result): Result {
  let result: Result | undefined;
  tf.tidy(() => {
    result = body();
  });
  return result as Result;
}

export class EagerRuntime implements Runtime {
  private readonly handles: Tensor[] = [];

  variable(name: string, dimensions: readonly number[]): Variable {
    const handle = tf.keep(
      op('VarHandleOp', [], { dtype: float32, shape: shape(dimensions), shared_name: ANONYMOUS, container: '' }),
    );
    this.handles.push(handle);
    return new Variable(name, dimensions, () => handle);
  }

  program<Input extends string, Output extends string>(
    inputs: Readonly<Record<Input, InputSpec>>,
    body: Body<Input, Output>,
  ): Program<Input, Output> {
    const names = Object.keys(inputs) as Input[];
    const run = (values: Readonly<Record<Input, Values>>): Record<Output, Values> => {
      const tensors = names.map((name) => [
        name,
        tf.tensor(values[name].data as Float32Array, [...values[name].shape], inputs[name].dtype),
      ]);
      const outputs = Object.entries<Tensor>(body(Object.fromEntries(tensors)));
      const results = outputs.map(([name, tensor]) => [name, { shape: tensor.shape, data: tensor.dataSync() }]);
      for (const [, tensor] of outputs) tensor.dispose();
      return Object.fromEntries(results);
    };
    return { run: async (values) => tidied(() => run(values)) };
  }

  async read(variables: readonly Variable[]): Promise<Float32Array[]> {
    return tidied(() => variables.map((variable) => variable.read().dataSync() as Float32Array));
  }

  async write(values: ReadonlyMap<Variable, Float32Array>): Promise<void> {
    tf.tidy(() => {
      for (const [variable, data] of values) variable.assign(tf.tensor(data, [...variable.shape]));
    });
  }

  dispose(): void {
    for (const handle of this.handles) handle.dispose();
    this.handles.length = 0;
  }
}
