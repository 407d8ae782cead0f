// Values that are known only when a pipeline runs, and the types that let one stand wherever a value can.
import type { Shape } from './steps/schema';

/** A value that SageMaker fills in when the pipeline runs; serialises to what stands for it in a definition. */
export abstract class Expression<Value = unknown> {
  /** Never set: ties the type to its values. */
  declare readonly value?: Value;

  /** What stands for it in a definition. */
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

/** The experiment that an execution belongs to, as the pipeline's `experiment` names it. */
export const ExperimentVariables = {
  experimentName: new Get<string>('PipelineExperimentConfig.ExperimentName'),
  trialName: new Get<string>('PipelineExperimentConfig.TrialName'),
} as const;

/** References to all that a response of the AWS SDK holds; an entry of a list by its number, or by its name where it has one; of a map by its key. */
export type Properties<Value> = Expression<Widened<Value>> &
  (Value extends Primitive
    ? unknown
    : Value extends readonly (infer Item)[]
      ? { readonly [key: string | number]: Properties<NonNullable<Item>> }
      : { readonly [Key in keyof Value]-?: Properties<NonNullable<Value[Key]>> });

/** References that begin with a path; what is read off them goes on with it, in brackets below lists and maps. */
export function properties<Value>(path: string, shape?: Shape): Properties<Value> {
  return new Proxy(new Get(path), {
    get(target, key) {
      if (typeof key === 'symbol' || key in target) return Reflect.get(target, key);
      if (shape?.kind === 'map') return properties(`${path}['${key}']`, shape.value);
      if (shape?.kind === 'list')
        return properties(/^\d+$/.test(key) ? `${path}[${key}]` : `${path}['${key}']`, shape.item);
      return properties(`${path}.${key}`, shape?.kind === 'structure' ? shape.member(key) : undefined);
    },
  }) as unknown as Properties<Value>;
}
