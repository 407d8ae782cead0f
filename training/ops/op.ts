// One TensorFlow op, called by its own name: eagerly, or into the graph that is being recorded. All that tfjs lacks is built on it.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { backend, type OpAttribute, tf } from '../native/tensorflow';

/** TensorFlow's numbers for its data types (tensorflow/c/tf_datatype.h). */
export const DataType = {
  float32: 1,
  int32: 3,
  uint8: 4,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  half: 19,
  resource: 20,
} as const;

/** TensorFlow's numbers for the kinds of attributes (tensorflow/c/tf_attrtype.h). */
export const AttributeType = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5, tensor: 6 } as const;

interface TypedValue {
  readonly type: number;
  readonly value: unknown;
}

/** Attributes by name. Strings and booleans stand for themselves; numbers do not tell their kind, so they are wrapped. */
export type Attributes = Readonly<Record<string, string | boolean | TypedValue>>;

export const int = (value: number | readonly number[]): TypedValue => ({ type: AttributeType.int, value });
export const float = (value: number): TypedValue => ({ type: AttributeType.float, value });
export const type = (value: number | readonly number[]): TypedValue => ({ type: AttributeType.type, value });
export const shape = (value: readonly number[]): TypedValue => ({ type: AttributeType.shape, value });

export const float32 = type(DataType.float32);
export const int32 = type(DataType.int32);

function toOpAttributes(attributes: Attributes): OpAttribute[] {
  return Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'string') return { name, type: AttributeType.string, value };
    if (typeof value === 'boolean') return { name, type: AttributeType.bool, value };
    return { name, ...value };
  });
}

/** Executes an op with any number of outputs. */
export function ops(name: string, inputs: readonly Tensor[], attributes: Attributes, outputs: number): Tensor[] {
  return backend.executeMultipleOutputs(name, toOpAttributes(attributes), [...inputs], outputs);
}

/** Executes an op with one output. */
export function op(name: string, inputs: readonly Tensor[], attributes: Attributes = {}): Tensor {
  return ops(name, inputs, attributes, 1)[0] as Tensor;
}

/** Executes an op for its effect alone. */
export function effect(name: string, inputs: readonly Tensor[], attributes: Attributes = {}): void {
  ops(name, inputs, attributes, 0);
}

/** Whole numbers as an int32 vector, as ops take shapes, axes and permutations. */
export function vector(values: readonly number[]): Tensor {
  return tf.tensor1d([...values], 'int32');
}

/** A whole number as an int32 scalar, as ops take an axis. */
export function whole(value: number): Tensor {
  return tf.scalar(value, 'int32');
}

/** A tensor of one value. Made by an op: tfjs's own zeros and ones are arrays in JavaScript. */
export function filled(shape: readonly number[], value: number): Tensor {
  return op('Fill', [vector(shape), tf.scalar(value)], { T: float32, index_type: int32 });
}

/** Tensors of one value, each of them made once: for the body of a program that gives many variables their first values. */
export class Constants {
  private readonly made = new Map<string, Tensor>();

  filled(shape: readonly number[], value: number): Tensor {
    const key = `${shape} ${value}`;
    const tensor = this.made.get(key) ?? filled(shape, value);
    this.made.set(key, tensor);
    return tensor;
  }
}

type Save = (tensors: Tensor[]) => void;

/**
 * A function of tensors with a gradient of its own.
 *
 * @param forward computes the value and saves what the gradient needs
 * @param gradients the gradient with respect to each of the inputs, in order, from that of the value and the saved tensors
 */
export function differentiable<Inputs extends Tensor[]>(
  inputs: readonly [...Inputs],
  forward: (inputs: Inputs, save: Save) => Tensor,
  gradients: (dy: Tensor, saved: Tensor[]) => Tensor[],
): Tensor {
  return tf.customGrad((...args) => {
    const save = args.pop() as unknown as Save;
    return {
      value: forward(args as unknown as Inputs, save),
      gradFunc: (dy: Tensor, saved: Tensor[]) => gradients(dy, saved),
    };
  })(...inputs);
}
