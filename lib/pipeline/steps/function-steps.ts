// Steps that call out: a Lambda function, and a message to a queue that someone answers.
import { type Expression, Get, type Text } from '../expression';
import { type Cached, Step, type StepOptions } from './step';

interface OutputTypes {
  readonly String: string;
  readonly Integer: number;
  readonly Float: number;
  readonly Boolean: boolean;
}

/** SageMaker's types of outputs. */
export type OutputType = keyof OutputTypes;

/** What is answered: the type of each output, by its name. */
export type Outputs = Readonly<Record<string, OutputType>>;

interface FunctionStepOptions<Declared extends Outputs> extends StepOptions, Cached {
  /** What is sent. @default nothing */
  readonly inputs?: Readonly<Record<string, string | number | boolean | Expression>>;
  /** What is answered. @default nothing */
  readonly outputs?: Declared;
}

abstract class FunctionStep<Declared extends Outputs> extends Step {
  constructor(
    name: string,
    private readonly called: FunctionStepOptions<Declared>,
  ) {
    super(name, called);
  }

  /** An output, by its name. */
  output<Name extends keyof Declared & string>(name: Name): Expression<OutputTypes[Declared[Name]]> {
    return new Get(`Steps.${this.name}.OutputParameters['${name}']`);
  }

  protected override toArguments(): unknown {
    return this.called.inputs ?? {};
  }

  protected outputParameters(): unknown[] {
    return Object.entries(this.called.outputs ?? {}).map(([OutputName, OutputType]) => ({ OutputName, OutputType }));
  }
}

/** Which function is called, with what. */
export interface LambdaStepOptions<Declared extends Outputs> extends FunctionStepOptions<Declared> {
  /** Of the function, or of a version or alias of it. */
  readonly functionArn: Text;
}

/** Calls a function and waits, up to ten minutes, for what it returns. */
export class LambdaStep<const Declared extends Outputs = Record<never, never>> extends FunctionStep<Declared> {
  readonly type = 'Lambda';

  constructor(
    name: string,
    private readonly lambda: LambdaStepOptions<Declared>,
  ) {
    super(name, lambda);
  }

  protected override extras(): Record<string, unknown> {
    return { FunctionArn: this.lambda.functionArn, OutputParameters: this.outputParameters() };
  }
}

/** Who is asked, and what. */
export interface CallbackStepOptions<Declared extends Outputs> extends FunctionStepOptions<Declared> {
  /** URL of an SQS queue. */
  readonly queueUrl: Text;
}

/** Sends a message and waits until SendPipelineExecutionStepSuccess or -Failure answers its token. */
export class CallbackStep<const Declared extends Outputs = Record<never, never>> extends FunctionStep<Declared> {
  readonly type = 'Callback';

  constructor(
    name: string,
    private readonly callback: CallbackStepOptions<Declared>,
  ) {
    super(name, callback);
  }

  protected override extras(): Record<string, unknown> {
    return { SqsQueueUrl: this.callback.queueUrl, OutputParameters: this.outputParameters() };
  }
}
