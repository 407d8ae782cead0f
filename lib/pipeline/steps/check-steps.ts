// Steps that hold data or a model against a baseline: Model Monitor's quality checks and Clarify's. Each runs a processing job.
import type { Expression, Text } from '../expression';
import type { ProcessingArguments } from './processing-step';
import { type Cached, RequestStep, type RequestStepOptions } from './step';

type Flag = boolean | Expression<boolean>;

/** https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-quality-clarify-baseline-lifecycle.html */
interface BaselineOptions {
  /** @default false: the data are held against the baseline */
  readonly skipCheck?: Flag;
  /** Whether a violation fails the step. @default true */
  readonly failOnViolation?: Flag;
  /** Whether the new baseline can be referred to as the one to register. @default false */
  readonly registerNewBaseline?: Flag;
  /** Whose latest approved version gives the baseline. @default none */
  readonly modelPackageGroupName?: Text;
  /** S3 URI of constraints to hold against, instead of the group's. @default the group's */
  readonly suppliedBaselineConstraints?: Text;
}

type CheckOptions = RequestStepOptions<ProcessingArguments> & Cached & BaselineOptions;

/** What stands beside the arguments. Absent entries are null in what AWS's SDK writes; SageMaker takes their absence too. */
function baseline(checkType: string, options: BaselineOptions): Record<string, unknown> {
  const { modelPackageGroupName, suppliedBaselineConstraints } = options;
  return {
    CheckType: checkType,
    ...(modelPackageGroupName !== undefined && { ModelPackageGroupName: modelPackageGroupName }),
    SkipCheck: options.skipCheck ?? false,
    FailOnViolation: options.failOnViolation ?? true,
    RegisterNewBaseline: options.registerNewBaseline ?? false,
    ...(suppliedBaselineConstraints !== undefined && { SuppliedBaselineConstraints: suppliedBaselineConstraints }),
  };
}

/** What a quality check holds against which baseline. */
export type QualityCheckStepOptions = CheckOptions & {
  /** Which of Model Monitor's checks. */
  readonly checkType: 'DATA_QUALITY' | 'MODEL_QUALITY';
  /** S3 URI of statistics to hold against, instead of the group's. @default the group's */
  readonly suppliedBaselineStatistics?: Text;
};

/** What can be referred to of a quality check: S3 URIs. */
export interface QualityCheckProperties {
  /** The constraints that this run found. */
  readonly CalculatedBaselineConstraints: string;
  /** The statistics that this run found. */
  readonly CalculatedBaselineStatistics: string;
  /** The constraints to register with the model. */
  readonly BaselineUsedForDriftCheckConstraints: string;
  /** The statistics to register with the model. */
  readonly BaselineUsedForDriftCheckStatistics: string;
}

/** Holds data, or a model's predictions, against a baseline. */
export class QualityCheckStep extends RequestStep<ProcessingArguments, QualityCheckProperties> {
  readonly type = 'QualityCheck';

  constructor(
    name: string,
    private readonly check: QualityCheckStepOptions,
  ) {
    super(name, check);
  }

  protected override extras(): Record<string, unknown> {
    const { checkType, suppliedBaselineStatistics } = this.check;
    return {
      ...baseline(checkType, this.check),
      ...(suppliedBaselineStatistics !== undefined && { SuppliedBaselineStatistics: suppliedBaselineStatistics }),
    };
  }
}

/** What a bias or explainability check holds against which baseline. */
export type ClarifyCheckStepOptions = CheckOptions & {
  /** Which of Clarify's checks. */
  readonly checkType: 'DATA_BIAS' | 'MODEL_BIAS' | 'MODEL_EXPLAINABILITY';
  /** The model that is asked; needed but for DATA_BIAS. @default none */
  readonly modelName?: Text;
};

/** What can be referred to of a Clarify check: S3 URIs. */
export interface ClarifyCheckProperties {
  /** The constraints that this run found. */
  readonly CalculatedBaselineConstraints: string;
  /** The constraints to register with the model. */
  readonly BaselineUsedForDriftCheckConstraints: string;
}

/** Holds the bias of data or a model, or what explains its predictions, against a baseline. */
export class ClarifyCheckStep extends RequestStep<ProcessingArguments, ClarifyCheckProperties> {
  readonly type = 'ClarifyCheck';

  constructor(
    name: string,
    private readonly check: ClarifyCheckStepOptions,
  ) {
    super(name, check);
  }

  protected override extras(): Record<string, unknown> {
    const { checkType, modelName } = this.check;
    return { ...baseline(checkType, this.check), ...(modelName !== undefined && { ModelName: modelName }) };
  }
}
