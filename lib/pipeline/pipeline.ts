// A pipeline: parameters and steps, checked and written as the definition that SageMaker takes.
import type { ParallelismConfiguration, SelectiveExecutionConfig } from '@aws-sdk/client-sagemaker';
import { check } from './check';
import { errorsOf, type Finding, PipelineError, warningsOf } from './errors';
import { ExecutionVariables, type Text } from './expression';
import type { Parameter } from './parameter';
import type { Step } from './steps/step';

export interface PipelineExperiment {
  readonly experimentName: Text;
  readonly trialName: Text;
}

export interface PipelineOptions {
  /** @default none */
  readonly parameters?: readonly Parameter[];
  readonly steps: readonly Step[];
  /** Where the executions are tracked; false: nowhere. @default the experiment is the pipeline, the trial is the execution */
  readonly experiment?: PipelineExperiment | false;
  /** How many steps of an execution may run at once; goes with CreatePipeline's request, not into the definition. @default SageMaker's own */
  readonly maxParallelSteps?: number;
  /** What a definition may say of itself. @default nothing */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** A definition as SageMaker Pipelines takes it, still with placeholders of whoever writes it to JSON (CDK's tokens). */
export interface PipelineDefinition {
  readonly Version: '2020-12-01';
  readonly Metadata: Readonly<Record<string, unknown>>;
  readonly Parameters: readonly unknown[];
  readonly PipelineExperimentConfig: unknown;
  readonly Steps: readonly unknown[];
}

const DEFAULT_EXPERIMENT: PipelineExperiment = {
  experimentName: ExecutionVariables.pipelineName,
  trialName: ExecutionVariables.pipelineExecutionId,
};

export class Pipeline {
  constructor(
    readonly name: string,
    private readonly options: PipelineOptions,
  ) {}

  /** All steps, those in branches too. */
  get steps(): readonly Step[] {
    const withBranches = (step: Step): Step[] => [step, ...step.branches.flatMap(withBranches)];
    return this.options.steps.flatMap(withBranches);
  }

  /** For the request that makes or changes the pipeline, or starts it; undefined: SageMaker's own. */
  get parallelism(): ParallelismConfiguration | undefined {
    const { maxParallelSteps } = this.options;
    return maxParallelSteps === undefined ? undefined : { MaxParallelExecutionSteps: maxParallelSteps };
  }

  /**
   * For the request that starts an execution of some steps only, with what an earlier one produced for the rest.
   *
   * @param sourceExecutionArn the earlier execution. @default SageMaker takes the latest
   * @throws PipelineError where a step is not one of the pipeline's
   */
  selectiveExecution(steps: readonly Step[], sourceExecutionArn?: string): SelectiveExecutionConfig {
    const own = new Set(this.steps.map(({ name }) => name));
    const strangers = steps.filter(({ name }) => !own.has(name));
    if (strangers.length > 0) {
      throw new PipelineError(
        this.name,
        strangers.map(({ name }) => ({
          where: `step ${name}`,
          problem: 'it was selected, and the pipeline does not have it.',
          fix: `choose among: ${[...own].join(', ')}.`,
        })),
      );
    }
    return {
      ...(sourceExecutionArn !== undefined && { SourcePipelineExecutionArn: sourceExecutionArn }),
      SelectedSteps: steps.map(({ name }) => ({ StepName: name })),
    };
  }

  /** What is wrong with it, all at once: errors and warnings. */
  findings(): readonly Finding[] {
    return check(this.toDefinition());
  }

  /** @throws PipelineError naming all that is wrong; warnings refuse nothing */
  definition(): PipelineDefinition {
    return this.checked().definition;
  }

  /**
   * The definition, and the warnings about it.
   *
   * @throws PipelineError naming all that is wrong
   */
  checked(): { readonly definition: PipelineDefinition; readonly warnings: readonly Finding[] } {
    const definition = this.toDefinition();
    const findings = check(definition);
    const errors = errorsOf(findings);
    if (errors.length > 0) throw new PipelineError(this.name, errors);
    return { definition, warnings: warningsOf(findings) };
  }

  private toDefinition(): PipelineDefinition {
    const { parameters = [], steps, experiment = DEFAULT_EXPERIMENT, metadata = {} } = this.options;
    return toJson({
      Version: '2020-12-01',
      Metadata: metadata,
      Parameters: parameters.map((parameter) => parameter.toDefinition()),
      PipelineExperimentConfig: experiment
        ? { ExperimentName: experiment.experimentName, TrialName: experiment.trialName }
        : null,
      Steps: steps.map((step) => step.toDefinition()),
    }) as PipelineDefinition;
  }
}

/** Plain JSON values: expressions written out, undefined entries left out; all else as it is. */
function toJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  if ('toJSON' in value && typeof value.toJSON === 'function') return toJson(value.toJSON());
  const written: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (entry !== undefined) written[key] = typeof entry === 'object' ? toJson(entry) : entry;
  }
  return written;
}
