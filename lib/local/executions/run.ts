// The course of an execution: steps run as soon as what they depend on has, until all have or one fails.
import { readFileSync } from 'node:fs';
import type { DescribePipelineExecutionResponse, PipelineExecutionStep } from '@aws-sdk/client-sagemaker';
import { allSteps, dependenciesOf, type StepDefinition } from '../../pipeline';
import { nameOf, unique } from '../names';
import type { Definition } from '../pipelines';
import type { FolderS3 } from '../s3';
import { follow, holds, resolve, type Values } from './resolve';
import { chosen } from './selection';
import type { Outcome, StepType } from './step-types';

export interface Execution {
  readonly description: DescribePipelineExecutionResponse;
  readonly definition: Definition;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Of the request that began it: the same request again begins no other. */
  readonly token?: string;
  /** Names of the steps that run. @default all */
  readonly selected?: readonly string[];
  /** How many steps run at once. @default as many as can */
  readonly parallel?: number;
  readonly steps: readonly PipelineExecutionStep[];
  /** What Describe said of the job of each step that has run. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What is on disk of an execution, and what is wanted of it. */
export interface ExecutionRecord {
  read(): Execution;
  change(change: (execution: Execution) => Partial<Execution>): void;
  /** Whether no more steps are to begin. */
  isStopping(): boolean;
  /** Whether the next control plane is to go on with it: nothing is written down any more. */
  isSuspended(): boolean;
}

/** How an execution ended. */
export interface ExecutionEnd {
  readonly status: 'Succeeded' | 'Failed' | 'Stopped';
  readonly failure?: string;
}

export class ExecutionRun {
  private readonly waiting: Map<string, StepDefinition>;
  private readonly running = new Map<string, Promise<void>>();
  private readonly succeeded: Set<string>;
  private readonly failures: string[] = [];

  constructor(
    private readonly executionArn: string,
    private readonly types: Readonly<Record<string, StepType>>,
    private readonly s3: FolderS3,
    private readonly record: ExecutionRecord,
  ) {
    const { definition, selected, steps } = record.read();
    this.waiting = new Map(chosen(definition.Steps, selected).map((step) => [step.Name, step]));
    this.succeeded = new Set(
      steps.filter(({ StepStatus }) => StepStatus === 'Succeeded').map(({ StepName }) => StepName as string),
    );
  }

  async run(): Promise<ExecutionEnd> {
    // steps that were interrupted are run again from their beginning
    this.record.change(({ steps }) => ({
      steps: steps.filter(({ StepName }) => this.succeeded.has(StepName as string)),
    }));
    const { parallel = Number.POSITIVE_INFINITY } = this.record.read();
    for (;;) {
      const stopped = this.failures.length > 0 || this.record.isStopping() || this.record.isSuspended();
      const ready = stopped ? [] : [...this.waiting.values()].filter((step) => this.isReady(step));
      for (const step of ready) if (this.running.size < parallel) this.launch(step);
      if (this.running.size === 0 && ready.length === 0) break;
      if (this.running.size > 0) await Promise.race(this.running.values());
    }
    if (this.record.isStopping()) return { status: 'Stopped' };
    if (this.failures.length > 0) return { status: 'Failed', failure: this.failures.join('; ') };
    return { status: 'Succeeded' };
  }

  private isReady(step: StepDefinition): boolean {
    return dependenciesOf(step).every((name) => this.succeeded.has(name));
  }

  private launch(step: StepDefinition): void {
    this.waiting.delete(step.Name);
    if (this.succeeded.has(step.Name)) {
      // done before this control plane started; only a condition has something to say again
      if (step.Type === 'Condition') this.finish(step, this.decide(step));
      return;
    }
    const done = this.runStep(step).then((outcome) => this.finish(step, outcome));
    this.running.set(
      step.Name,
      done.finally(() => this.running.delete(step.Name)),
    );
  }

  private finish(step: StepDefinition, outcome: Outcome): void {
    if (outcome.failure !== undefined) this.failures.push(`step ${step.Name} failed: ${outcome.failure}`);
    else this.succeeded.add(step.Name);
    const { selected } = this.record.read();
    for (const next of chosen(outcome.branch ?? [], selected)) this.waiting.set(next.Name, next);
  }

  private async runStep(step: StepDefinition): Promise<Outcome> {
    const begun: PipelineExecutionStep = {
      StepName: step.Name,
      StartTime: new Date(),
      StepStatus: 'Executing',
      AttemptCount: 1,
    };
    this.putStep(begun);
    let outcome: Outcome;
    try {
      outcome = await this.outcomeOf(step, (metadata) => this.putStep({ ...begun, Metadata: metadata }));
    } catch (error) {
      outcome = { metadata: {}, failure: (error as Error).message };
    }
    if (this.record.isSuspended()) return outcome;
    const { metadata, properties, failure, stopped } = outcome;
    const ended: PipelineExecutionStep = {
      ...begun,
      EndTime: new Date(),
      StepStatus: stopped ? 'Stopped' : failure === undefined ? 'Succeeded' : 'Failed',
      ...(failure !== undefined && { FailureReason: failure }),
      Metadata: metadata,
    };
    this.putStep(ended, properties);
    return outcome;
  }

  /** In one write: a step that has succeeded must not lack its properties after a kill. */
  private putStep(step: PipelineExecutionStep, own?: unknown): void {
    const name = step.StepName as string;
    this.record.change(({ steps, properties }) => ({
      steps: [...steps.filter(({ StepName }) => StepName !== name), step],
      ...(own !== undefined && { properties: { ...properties, [name]: own } }),
    }));
  }

  private async outcomeOf(
    step: StepDefinition,
    begun: (metadata: PipelineExecutionStep['Metadata']) => void,
  ): Promise<Outcome> {
    if (step.Type === 'Condition') return this.decide(step);
    const type = this.types[step.Type];
    if (type === undefined) throw new Error(`steps of type ${step.Type} do not run on this machine`);
    const request = resolve(step.Arguments, this.values()) as Record<string, unknown>;
    // SageMaker names the jobs of a pipeline so, in at most 63 characters; a step's name may have underscores, a job's not
    const name = `pipelines-${this.id}-${step.Name.slice(0, 28).replaceAll('_', '-')}-${unique(8)}`;
    return type({ arguments: request, name, begun });
  }

  /** Which branch of a condition is taken. */
  private decide(step: StepDefinition): Outcome {
    const values = this.values();
    const {
      Conditions,
      IfSteps = [],
      ElseSteps = [],
    } = step.Arguments as {
      Conditions: unknown[];
      IfSteps?: StepDefinition[];
      ElseSteps?: StepDefinition[];
    };
    const outcome = Conditions.every((condition) => holds(resolve(condition, values) as Record<string, unknown>));
    return { metadata: { Condition: { Outcome: outcome ? 'True' : 'False' } }, branch: outcome ? IfSteps : ElseSteps };
  }

  private get id(): string {
    return this.executionArn.slice(this.executionArn.lastIndexOf('/') + 1);
  }

  private values(): Values {
    const { description, parameters, properties, definition } = this.record.read();
    const propertiesOf = (step: string) => {
      if (properties[step] === undefined) throw new Error(`step ${step} has not run`);
      return properties[step];
    };
    return {
      parameters,
      execution: {
        PipelineName: nameOf(description.PipelineArn as string),
        PipelineArn: description.PipelineArn,
        PipelineExecutionArn: this.executionArn,
        PipelineExecutionId: this.id,
        StartDateTime: description.CreationTime?.toISOString(),
        CurrentDateTime: new Date().toISOString(),
      },
      properties: propertiesOf,
      propertyFile: (step, file) => {
        const entry = allSteps(definition.Steps)
          .find(({ Name }) => Name === step)
          ?.PropertyFiles?.find(({ PropertyFileName }) => PropertyFileName === file);
        if (entry === undefined) throw new Error(`step ${step} has no property file ${file}`);
        const uri = follow(
          propertiesOf(step),
          `.ProcessingOutputConfig.Outputs['${entry.OutputName}'].S3Output.S3Uri`,
        ) as string;
        return JSON.parse(readFileSync(this.s3.path(`${uri}/${entry.FilePath}`), 'utf8'));
      },
    };
  }
}
