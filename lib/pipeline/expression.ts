// Values that are known only when a pipeline runs, and the types that let one stand wherever a value can.

/** A value that SageMaker fills in when the pipeline runs; serialises to what stands for it in a definition. */
export abstract class Expression<Value = unknown> {
  /** Never set: ties the type to its values. */
  declare readonly value?: Value;

  abstract toJSON(): unknown;
}

type Primitive = string | number | boolean | bigint | Date | Uint8Array;

type Widened<Value> = Value extends string
  ? string
  : Value extends number
    ? number
    : Value extends boolean
      ? boolean
      : Value;

/** A request type of the AWS SDK with an expression allowed at every leaf. */
export type Resolvable<Value> = Value extends Primitive
  ? Value | Expression<Widened<Value>>
  : Value extends readonly (infer Item)[]
    ? readonly Resolvable<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value]: Resolvable<Value[Key]> }
      : Value;

/** A text that may be known only when the pipeline runs. */
export type Text = string | Expression<string>;

/** The value of a key, as `{"Get": "Parameters.Name"}`. */
export class Get<Value = unknown> extends Expression<Value> {
  constructor(private readonly path: string) {
    super();
  }

  toJSON(): unknown {
    return { Get: this.path };
  }
}

/** Facts of the execution: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-variables.html */
export const ExecutionVariables = {
  startDateTime: new Get<string>('Execution.StartDateTime'),
  currentDateTime: new Get<string>('Execution.CurrentDateTime'),
  pipelineName: new Get<string>('Execution.PipelineName'),
  pipelineArn: new Get<string>('Execution.PipelineArn'),
  pipelineExecutionId: new Get<string>('Execution.PipelineExecutionId'),
  pipelineExecutionArn: new Get<string>('Execution.PipelineExecutionArn'),
} as const;

class Join extends Expression<string> {
  constructor(
    private readonly separator: string,
    private readonly values: readonly unknown[],
  ) {
    super();
  }

  toJSON(): unknown {
    return { 'Std:Join': { On: this.separator, Values: this.parts() } };
  }

  /** The values, those of a join inside by the same separator among them. */
  private parts(): readonly unknown[] {
    return this.values.flatMap((value) =>
      value instanceof Join && value.separator === this.separator ? value.parts() : [value],
    );
  }
}

/** Texts put together when the pipeline runs. */
export function join(separator: string, ...values: readonly (Text | Expression<number>)[]): Expression<string> {
  return new Join(separator, values);
}

/** Lists whose entries are referred to by name: by a key in brackets, as SageMaker's definitions have it. */
const NAMED_LISTS = new Set(['Outputs', 'ProcessingInputs', 'FinalMetricDataList', 'OutputParameters']);

/** References to all that a response of the AWS SDK holds; an entry of a list by its number, or by its name where it has one. */
export type Properties<Value> = Expression<Widened<Value>> &
  (Value extends Primitive
    ? unknown
    : Value extends readonly (infer Item)[]
      ? { readonly [key: string | number]: Properties<NonNullable<Item>> }
      : { readonly [Key in keyof Value]-?: Properties<NonNullable<Value[Key]>> });

/** References that begin with a path; what is read off them goes on with it. */
export function properties<Value>(path: string): Properties<Value> {
  return new Proxy(new Get(path), {
    get(target, key) {
      if (typeof key === 'symbol' || key in target) return Reflect.get(target, key);
      if (/^\d+$/.test(key)) return properties(`${path}[${key}]`);
      const list = path.slice(path.lastIndexOf('.') + 1);
      return properties(NAMED_LISTS.has(list) ? `${path}['${key}']` : `${path}.${key}`);
    },
  }) as unknown as Properties<Value>;
}
