// A pipeline: parameters and steps, checked and written as the definition that SageMaker takes.
import { check } from './check';
import { type Finding, PipelineError } from './errors';
import { ExecutionVariables } from './expression';
import type { Parameter } from './parameter';
import type { Step } from './step';

export interface PipelineOptions {
  /** @default none */
  readonly parameters?: readonly Parameter[];
  readonly steps: readonly Step[];
}

/** A definition as SageMaker Pipelines takes it, still with placeholders of whoever writes it to JSON (CDK's tokens). */
export interface PipelineDefinition {
  readonly Version: '2020-12-01';
  readonly Metadata: Readonly<Record<string, unknown>>;
  readonly Parameters: readonly unknown[];
  readonly PipelineExperimentConfig: unknown;
  readonly Steps: readonly unknown[];
}

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

  /** What is wrong with it, all at once. */
  findings(): readonly Finding[] {
    return check(this.toDefinition());
  }

  /** @throws PipelineError naming all that is wrong */
  definition(): PipelineDefinition {
    const findings = this.findings();
    if (findings.length > 0) throw new PipelineError(this.name, findings);
    return this.toDefinition();
  }

  private toDefinition(): PipelineDefinition {
    const { parameters = [], steps } = this.options;
    return toJson({
      Version: '2020-12-01',
      Metadata: {},
      Parameters: parameters.map((parameter) => parameter.toDefinition()),
      PipelineExperimentConfig: {
        ExperimentName: ExecutionVariables.pipelineName,
        TrialName: ExecutionVariables.pipelineExecutionId,
      },
      Steps: steps.map((step) => step.toDefinition()),
    }) as PipelineDefinition;
  }
}

/** Plain JSON values: expressions written out, undefined entries left out; all else as it is. */
function toJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  if ('toJSON' in value && typeof value.toJSON === 'function') return toJson(value.toJSON());
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [key, toJson(entry)]),
  );
}
