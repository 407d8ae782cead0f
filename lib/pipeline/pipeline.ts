// A pipeline: parameters and steps, checked and written as the definition that SageMaker takes.
import type { ParallelismConfiguration, SelectiveExecutionConfig } from '@aws-sdk/client-sagemaker';
import { check } from './check';
import { checkPipelineName } from './checks/names';
import type { ParameterDefinition, StepDefinition } from './definition';
import { errorsOf, type Finding, PipelineError, warningsOf } from './errors';
import { ExecutionVariables, type Text } from './expression';
import type { Parameter } from './parameter';
import { checkSelection } from './selection';
import { type StartOptions, type StartRequest, startRequest } from './start';
import type { Step } from './steps/step';

/** Where executions are tracked: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-experiments.html */
export interface PipelineExperiment {
  /** Made by the execution, if there is none. */
  readonly experimentName: Text;
  /** Of each execution. */
  readonly trialName: Text;
}

/** What a pipeline is made of. */
export interface PipelineOptions {
  /** @default none */
  readonly parameters?: readonly Parameter[];
  /** In any order: what they refer to decides. */
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
  /** Of the schema. */
  readonly Version: '2020-12-01';
  /** What it says of itself. */
  readonly Metadata: Readonly<Record<string, unknown>>;
  /** As ParameterDefinition. */
  readonly Parameters: readonly unknown[];
  /** Where executions are tracked; null: nowhere. */
  readonly PipelineExperimentConfig: unknown;
  /** As StepDefinition. */
  readonly Steps: readonly unknown[];
}

const DEFAULT_EXPERIMENT: PipelineExperiment = {
  experimentName: ExecutionVariables.pipelineName,
  trialName: ExecutionVariables.pipelineExecutionId,
};

/** Parameters and steps; written as the definition that CreatePipeline takes, or refused with all that is wrong. */
export class Pipeline {
  constructor(
    /** Unique in an account and region. */
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
   * For the request that starts an execution of some steps only, with what an earlier one made for the rest.
   *
   * @param sourceExecutionArn the earlier execution. @default none: the steps may need nothing of others
   * @throws PipelineError where a step is not one of the pipeline's, lies between two of the selected, or is needed and not there
   */
  selectiveExecution(steps: readonly Step[], sourceExecutionArn?: string): SelectiveExecutionConfig {
    const selected = steps.map(({ name }) => name);
    const findings = checkSelection(this.definition().Steps as StepDefinition[], selected, sourceExecutionArn);
    if (findings.length > 0) throw new PipelineError(this.name, findings);
    return {
      ...(sourceExecutionArn !== undefined && { SourcePipelineExecutionArn: sourceExecutionArn }),
      SelectedSteps: selected.map((StepName) => ({ StepName })),
    };
  }

  /**
   * The request that starts an execution: with these parameters, of this version, of these steps.
   *
   * @throws PipelineError naming all that is wrong with the options
   */
  startRequest(options: StartOptions = {}): StartRequest {
    const { parameters = [] } = this.options;
    const definitions = parameters.map((parameter) => parameter.toDefinition() as unknown as ParameterDefinition);
    const { steps, sourceExecutionArn } = options;
    return {
      ...startRequest(this.name, definitions, options),
      ...(steps && { SelectiveExecutionConfig: this.selectiveExecution(steps, sourceExecutionArn) }),
    };
  }

  /** What is wrong with it, all at once: errors and warnings. */
  findings(): readonly Finding[] {
    return this.check(this.toDefinition());
  }

  private check(definition: PipelineDefinition): Finding[] {
    return [...checkPipelineName(this.name), ...check(definition)];
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
    const findings = this.check(definition);
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
