// Steps: what a pipeline does. Their arguments are the AWS SDK's requests, with an expression allowed at every leaf.
import type {
  CreateModelInput,
  CreateModelPackageInput,
  CreateProcessingJobRequest,
  CreateTrainingJobRequest,
  DescribeModelOutput,
  DescribeModelPackageOutput,
  DescribeProcessingJobResponse,
  DescribeTrainingJobResponse,
} from '@aws-sdk/client-sagemaker';
import type { Condition } from './condition';
import { Expression, type Properties, properties, type Resolvable, type Text } from './expression';

export interface StepOptions {
  /** What people read instead of the name. @default the name */
  readonly displayName?: string;
  /** @default none */
  readonly description?: string;
  /** Steps that must have run before, besides those that the arguments refer to. @default none */
  readonly dependsOn?: readonly Step[];
}

export interface CacheOptions {
  /** ISO 8601 duration for which an earlier run with the same arguments stands for this one, e.g. P30D. */
  readonly expireAfter: string;
}

/** A step that runs a job, which can be cached. */
export interface JobStepOptions<Arguments> extends StepOptions {
  readonly arguments: Arguments;
  /** @default the step is run each time */
  readonly cache?: CacheOptions;
}

/** A JSON file that a processing step writes, for conditions to look into. */
export interface PropertyFile {
  readonly name: string;
  /** The output, by its name, that the file is in. */
  readonly outputName: string;
  /** Path of the file inside the output. */
  readonly path: string;
}

export abstract class Step {
  abstract readonly type: string;

  constructor(
    readonly name: string,
    private readonly options: StepOptions,
  ) {}

  /** Steps inside this one: the branches of a condition. */
  get branches(): readonly Step[] {
    return [];
  }

  protected abstract toArguments(): unknown;

  protected extras(): Record<string, unknown> {
    return {};
  }

  toDefinition(): Record<string, unknown> {
    const { displayName, description, dependsOn } = this.options;
    return {
      Name: this.name,
      Type: this.type,
      ...(displayName !== undefined && { DisplayName: displayName }),
      ...(description !== undefined && { Description: description }),
      Arguments: this.toArguments(),
      ...(dependsOn && dependsOn.length > 0 && { DependsOn: dependsOn.map((step) => step.name) }),
      ...this.extras(),
    };
  }
}

/** A step whose job's description can be referred to. */
abstract class JobStep<Request, Response> extends Step {
  /** References to what SageMaker's Describe call says of the job. */
  readonly properties: Properties<Response>;

  constructor(
    name: string,
    private readonly jobOptions: JobStepOptions<Request>,
  ) {
    super(name, jobOptions);
    this.properties = properties<Response>(`Steps.${name}`);
  }

  protected override toArguments(): unknown {
    return this.jobOptions.arguments;
  }

  protected override extras(): Record<string, unknown> {
    const { cache } = this.jobOptions;
    return cache ? { CacheConfig: { Enabled: true, ExpireAfter: cache.expireAfter } } : {};
  }
}

/** SageMaker names the jobs of a pipeline itself. */
type WithoutName<Request, Name extends keyof Request> = Resolvable<Omit<Request, Name>>;

export type ProcessingArguments = WithoutName<CreateProcessingJobRequest, 'ProcessingJobName'>;

export interface ProcessingStepOptions extends JobStepOptions<ProcessingArguments> {
  /** @default none */
  readonly propertyFiles?: readonly PropertyFile[];
}

export class ProcessingStep extends JobStep<ProcessingArguments, DescribeProcessingJobResponse> {
  readonly type = 'Processing';

  constructor(
    name: string,
    private readonly processing: ProcessingStepOptions,
  ) {
    super(name, processing);
  }

  /** The URI of an output, by its name. */
  output(name: string): Expression<string> {
    return this.properties.ProcessingOutputConfig.Outputs[name]?.S3Output.S3Uri as Expression<string>;
  }

  protected override extras(): Record<string, unknown> {
    const files = this.processing.propertyFiles?.map(({ name, outputName, path }) => {
      return { PropertyFileName: name, OutputName: outputName, FilePath: path };
    });
    return { ...super.extras(), ...(files && { PropertyFiles: files }) };
  }
}

export type TrainingArguments = WithoutName<CreateTrainingJobRequest, 'TrainingJobName'>;

export class TrainingStep extends JobStep<TrainingArguments, DescribeTrainingJobResponse> {
  readonly type = 'Training';
}

export type ModelArguments = WithoutName<CreateModelInput, 'ModelName'>;

export class ModelStep extends JobStep<ModelArguments, DescribeModelOutput> {
  readonly type = 'Model';
}

export type RegisterModelArguments = WithoutName<CreateModelPackageInput, 'ModelPackageName'>;

export class RegisterModelStep extends JobStep<RegisterModelArguments, DescribeModelPackageOutput> {
  readonly type = 'RegisterModel';
}

export interface ConditionStepOptions extends StepOptions {
  /** All must hold. */
  readonly conditions: readonly Condition[];
  /** Run where they do. */
  readonly ifSteps: readonly Step[];
  /** Run where they do not. @default none */
  readonly elseSteps?: readonly Step[];
}

export class ConditionStep extends Step {
  readonly type = 'Condition';

  constructor(
    name: string,
    private readonly condition: ConditionStepOptions,
  ) {
    super(name, condition);
  }

  override get branches(): readonly Step[] {
    return [...this.condition.ifSteps, ...(this.condition.elseSteps ?? [])];
  }

  protected override toArguments(): unknown {
    const { conditions, ifSteps, elseSteps = [] } = this.condition;
    return {
      Conditions: conditions,
      IfSteps: ifSteps.map((step) => step.toDefinition()),
      ElseSteps: elseSteps.map((step) => step.toDefinition()),
    };
  }
}

export interface FailStepOptions extends StepOptions {
  readonly errorMessage: Text;
}

/** Ends the execution as failed. */
export class FailStep extends Step {
  readonly type = 'Fail';

  constructor(
    name: string,
    private readonly fail: FailStepOptions,
  ) {
    super(name, fail);
  }

  protected override toArguments(): unknown {
    return { ErrorMessage: this.fail.errorMessage };
  }
}

class JsonGet extends Expression<number> {
  constructor(
    private readonly step: Step,
    private readonly file: PropertyFile,
    private readonly path: string,
  ) {
    super();
  }

  toJSON(): unknown {
    return {
      'Std:JsonGet': {
        PropertyFile: { Get: `Steps.${this.step.name}.PropertyFiles.${this.file.name}` },
        Path: this.path,
      },
    };
  }
}

/**
 * A value of a property file.
 *
 * @param path where it stands in the JSON, e.g. multiclass_classification_metrics.accuracy.value
 */
export function jsonGet(step: ProcessingStep, file: PropertyFile, path: string): Expression<number> {
  return new JsonGet(step, file, path);
}
