// Where a network runs: variables, and programs on them. Eager and compiled are two implementations of the same few verbs.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { TensorData } from '../native/addon';
import { effect, float32, op } from '../ops/op';

/** A float32 variable. Its methods are called in the body of a program. */
export class Variable {
  /** @param handle gives the resource that the variable is, in the program whose body runs */
  constructor(
    readonly name: string,
    readonly shape: readonly number[],
    readonly handle: () => Tensor,
  ) {}

  get size(): number {
    return this.shape.reduce((product, dimension) => product * dimension, 1);
  }

  read(): Tensor {
    return op('ReadVariableOp', [this.handle()], { dtype: float32 });
  }

  assign(value: Tensor): void {
    effect('AssignVariableOp', [this.handle(), value], { dtype: float32 });
  }

  add(value: Tensor): void {
    effect('AssignAddVariableOp', [this.handle(), value], { dtype: float32 });
  }

  subtract(value: Tensor): void {
    effect('AssignSubVariableOp', [this.handle(), value], { dtype: float32 });
  }
}

export interface InputSpec {
  readonly dtype: 'float32' | 'int32';
  /** -1 for the batch dimension. */
  readonly shape: readonly number[];
}

/** Values for an input, or of an output. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** A function of tensors, ready to be run on values. */
export interface Program<Input extends string, Output extends string> {
  run(inputs: Readonly<Record<Input, Values>>): Promise<Record<Output, Values>>;
}

/** What a program does: tensors in, tensors out, and on the way whatever it does to variables. */
export type Body<Input extends string, Output extends string> = (
  inputs: Record<Input, Tensor>,
) => Record<Output, Tensor>;

export interface Runtime {
  /** A new variable; its value is undefined until a program assigns it or it is written. */
  variable(name: string, shape: readonly number[]): Variable;
  program<Input extends string, Output extends string>(
    inputs: Readonly<Record<Input, InputSpec>>,
    body: Body<Input, Output>,
  ): Program<Input, Output>;
  /** The values of variables, in order. */
  read(variables: readonly Variable[]): Promise<Float32Array[]>;
  write(values: ReadonlyMap<Variable, Float32Array>): Promise<void>;
  /** Frees the variables and programs. */
  dispose(): void;
}

/** Scalars as values. */
export const scalar = {
  float: (value: number): Values => ({ shape: [], data: Float32Array.of(value) }),
  int: (value: number): Values => ({ shape: [], data: Int32Array.of(value) }),
};
