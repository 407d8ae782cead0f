// Executions of pipelines: steps run as soon as what they depend on has, until all have or one fails.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  DescribePipelineDefinitionForExecutionResponse,
  DescribePipelineExecutionResponse,
  ListPipelineExecutionsRequest,
  Parameter,
  PipelineExecutionStep,
  PipelineExecutionSummary,
  StartPipelineExecutionRequest,
} from '@aws-sdk/client-sagemaker';
import { allSteps, dependenciesOf, type StepDefinition } from '../pipeline';
import type { Endpoints } from './endpoints';
import { notFound, ServiceError } from './errors';
import type { ProcessingJobs } from './jobs/processing-jobs';
import type { TrainingJobs } from './jobs/training-jobs';
import { nameOf, unique } from './names';
import { chooseParameters, type Definition, type Pipelines } from './pipelines';
import type { Registry } from './registry';
import { follow, holds, resolve, type Values } from './resolve';
import type { FolderS3 } from './s3';
import { Collection } from './store';

interface Execution {
  readonly description: DescribePipelineExecutionResponse;
  readonly definition: Definition;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Of the request that began it: the same request again begins no other. */
  readonly token?: string;
  readonly steps: readonly PipelineExecutionStep[];
  /** What Describe said of the job of each step that has run. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** How a step went. */
interface Outcome {
  readonly metadata: PipelineExecutionStep['Metadata'];
  readonly properties?: unknown;
  readonly failure?: string;
  readonly stopped?: boolean;
  /** Steps that now may run. */
  readonly branch?: readonly StepDefinition[];
}

export class Executions {
  readonly executions: Collection<Execution>;
  private readonly inProgress = new Set<Promise<void>>();
  private readonly stopping = new Set<string>();
  private suspended = false;

  constructor(
    root: string,
    private readonly s3: FolderS3,
    private readonly pipelines: Pipelines,
    private readonly processing: ProcessingJobs,
    private readonly training: TrainingJobs,
    private readonly registry: Registry,
    private readonly endpoints: Endpoints,
  ) {
    this.executions = new Collection(join(root, 'pipeline-executions'));
  }

  /** Begins an execution. */
  start({
    PipelineName = '',
    PipelineParameters = [],
    PipelineExecutionDisplayName,
    PipelineExecutionDescription,
    ClientRequestToken: token,
  }: StartPipelineExecutionRequest): string {
    const pipeline = this.pipelines.describe(PipelineName);
    const begun = token === undefined ? undefined : this.begunWith(token, pipeline.PipelineArn);
    if (begun !== undefined) return begun;
    const definition = JSON.parse(pipeline.PipelineDefinition as string) as Definition;
    const given = Object.fromEntries(PipelineParameters.map(({ Name, Value }) => [Name, Value]));
    const parameters = chooseParameters(definition, given);
    const id = unique(12);
    const executionArn = `${pipeline.PipelineArn}/execution/${id}`;
    const now = new Date();
    this.executions.put(executionArn, {
      description: {
        PipelineArn: pipeline.PipelineArn,
        PipelineExecutionArn: executionArn,
        PipelineExecutionDisplayName: PipelineExecutionDisplayName ?? `execution-${now.getTime()}`,
        ...(PipelineExecutionDescription !== undefined && { PipelineExecutionDescription }),
        PipelineExecutionStatus: 'Executing',
        CreationTime: now,
        LastModifiedTime: now,
      },
      definition,
      parameters,
      ...(token !== undefined && { token }),
      steps: [],
      properties: {},
    });
    this.run(executionArn);
    return executionArn;
  }

  /** The execution of a pipeline that a request with a token has begun. */
  private begunWith(token: string, pipelineArn: string | undefined): string | undefined {
    const same = this.executions
      .list()
      .find((execution) => execution.token === token && execution.description.PipelineArn === pipelineArn);
    return same?.description.PipelineExecutionArn;
  }

  /** Goes on with the executions that a control plane before this one left unfinished. */
  resume(): void {
    for (const { description } of this.executions.list()) {
      const executionArn = description.PipelineExecutionArn as string;
      if (description.PipelineExecutionStatus === 'Executing') this.run(executionArn);
      if (description.PipelineExecutionStatus === 'Stopping') this.setStatus(executionArn, 'Stopped');
    }
  }

  describe(executionArn: string): DescribePipelineExecutionResponse {
    return this.execution(executionArn).description;
  }

  /** All parameters of the pipeline, as they are in an execution. */
  listParameters(executionArn: string): Parameter[] {
    const { parameters } = this.execution(executionArn);
    return Object.entries(parameters).map(([Name, value]) => ({ Name, Value: String(value) }));
  }

  /** What an execution runs, whatever became of its pipeline since. */
  describeDefinition(executionArn: string): DescribePipelineDefinitionForExecutionResponse {
    const { definition, description } = this.execution(executionArn);
    return { PipelineDefinition: JSON.stringify(definition), CreationTime: description.CreationTime };
  }

  /** The executions of a pipeline, newest first unless that is asked for otherwise. */
  list({ PipelineName = '', SortOrder = 'Descending', MaxResults }: ListPipelineExecutionsRequest) {
    const { PipelineArn } = this.pipelines.describe(PipelineName);
    const summaries: PipelineExecutionSummary[] = this.executions
      .list()
      .filter(({ description }) => description.PipelineArn === PipelineArn)
      .map(({ description }) => ({
        PipelineExecutionArn: description.PipelineExecutionArn,
        PipelineExecutionDisplayName: description.PipelineExecutionDisplayName,
        PipelineExecutionStatus: description.PipelineExecutionStatus,
        PipelineExecutionFailureReason: description.FailureReason,
        StartTime: description.CreationTime,
      }));
    if (SortOrder === 'Descending') summaries.reverse();
    return summaries.slice(0, MaxResults);
  }

  /** The steps that have begun, newest first. */
  listSteps(executionArn: string): PipelineExecutionStep[] {
    return [...this.execution(executionArn).steps].reverse();
  }

  /** Starts no more steps, and ends the jobs of those that run. */
  stop(executionArn: string): string {
    const { steps, description } = this.execution(executionArn);
    const status = description.PipelineExecutionStatus;
    if (status !== 'Executing' && status !== 'Stopping')
      throw new ServiceError('ConflictException', `the execution ${executionArn} is ${status}, which is its end`);
    this.stopping.add(executionArn);
    this.setStatus(executionArn, 'Stopping');
    for (const { StepStatus, Metadata } of steps) {
      if (StepStatus !== 'Executing') continue;
      if (Metadata?.TrainingJob?.Arn) this.training.stop(nameOf(Metadata.TrainingJob.Arn));
      if (Metadata?.ProcessingJob?.Arn) this.processing.stop(nameOf(Metadata.ProcessingJob.Arn));
    }
    return executionArn;
  }

  /** From now on no step starts, and none that ends is written down: the next control plane runs it again. */
  suspend(): void {
    this.suspended = true;
  }

  /** Waits until no execution runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.inProgress);
  }

  private execution(executionArn: string): Execution {
    const execution = this.executions.get(executionArn);
    if (execution === undefined) throw notFound('pipeline execution', executionArn);
    return execution;
  }

  private change(executionArn: string, change: (execution: Execution) => Partial<Execution>): void {
    const execution = this.execution(executionArn);
    this.executions.put(executionArn, { ...execution, ...change(execution) });
  }

  private setStatus(
    executionArn: string,
    status: DescribePipelineExecutionResponse['PipelineExecutionStatus'],
    failure?: string,
  ): void {
    this.change(executionArn, ({ description }) => ({
      description: {
        ...description,
        PipelineExecutionStatus: status,
        LastModifiedTime: new Date(),
        ...(failure !== undefined && { FailureReason: failure }),
      },
    }));
  }

  private run(executionArn: string): void {
    const done = this.runSteps(executionArn).catch((error: Error) => {
      if (!this.isSuspended(executionArn)) this.setStatus(executionArn, 'Failed', error.message);
    });
    this.inProgress.add(done);
    void done.finally(() => this.inProgress.delete(done));
  }

  /** Whether an execution waits for the next control plane; one that is being stopped comes to its end in this one. */
  private isSuspended(executionArn: string): boolean {
    return this.suspended && !this.stopping.has(executionArn);
  }

  private async runSteps(executionArn: string): Promise<void> {
    const { definition, steps: before } = this.execution(executionArn);
    const succeeded = new Set(
      before.filter(({ StepStatus }) => StepStatus === 'Succeeded').map(({ StepName }) => StepName as string),
    );
    // steps that were interrupted are run again from their beginning
    this.change(executionArn, ({ steps }) => ({
      steps: steps.filter(({ StepName }) => succeeded.has(StepName as string)),
    }));
    const waiting = new Map(definition.Steps.map((step) => [step.Name, step]));
    const running = new Map<string, Promise<void>>();
    const failures: string[] = [];

    const finish = (step: StepDefinition, outcome: Outcome) => {
      if (outcome.failure !== undefined) failures.push(`step ${step.Name} failed: ${outcome.failure}`);
      else succeeded.add(step.Name);
      for (const next of outcome.branch ?? []) waiting.set(next.Name, next);
    };
    const launch = (step: StepDefinition) => {
      waiting.delete(step.Name);
      if (succeeded.has(step.Name)) {
        // done before this control plane started; only a condition has something to say again
        if (step.Type === 'Condition') finish(step, this.decide(executionArn, step));
        return;
      }
      const done = this.runStep(executionArn, step).then((outcome) => finish(step, outcome));
      running.set(
        step.Name,
        done.finally(() => running.delete(step.Name)),
      );
    };

    for (;;) {
      const stopped = failures.length > 0 || this.stopping.has(executionArn) || this.suspended;
      const ready = [...waiting.values()].filter((step) => dependenciesOf(step).every((name) => succeeded.has(name)));
      if (!stopped) ready.forEach(launch);
      if (running.size === 0 && (stopped || ready.length === 0)) break;
      if (running.size > 0) await Promise.race(running.values());
    }
    if (this.isSuspended(executionArn)) return;
    if (this.stopping.has(executionArn)) this.setStatus(executionArn, 'Stopped');
    else if (failures.length > 0) this.setStatus(executionArn, 'Failed', failures.join('; '));
    else this.setStatus(executionArn, 'Succeeded');
  }

  private putStep(executionArn: string, step: PipelineExecutionStep): void {
    this.change(executionArn, ({ steps }) => {
      const others = steps.filter(({ StepName }) => StepName !== step.StepName);
      return { steps: [...others, step] };
    });
  }

  private async runStep(executionArn: string, step: StepDefinition): Promise<Outcome> {
    const record: PipelineExecutionStep = {
      StepName: step.Name,
      StartTime: new Date(),
      StepStatus: 'Executing',
      AttemptCount: 1,
    };
    this.putStep(executionArn, record);
    let outcome: Outcome;
    try {
      outcome = await this.execute(executionArn, step, (metadata) =>
        this.putStep(executionArn, { ...record, Metadata: metadata }),
      );
    } catch (error) {
      outcome = { metadata: {}, failure: (error as Error).message };
    }
    if (this.isSuspended(executionArn)) return outcome;
    const { metadata, properties: own, failure, stopped } = outcome;
    const ended: PipelineExecutionStep = {
      ...record,
      EndTime: new Date(),
      StepStatus: stopped ? 'Stopped' : failure === undefined ? 'Succeeded' : 'Failed',
      ...(failure !== undefined && { FailureReason: failure }),
      Metadata: metadata,
    };
    // in one write: a step that has succeeded must not lack its properties after a kill
    this.change(executionArn, ({ steps, properties }) => ({
      steps: [...steps.filter(({ StepName }) => StepName !== step.Name), ended],
      ...(own !== undefined && { properties: { ...properties, [step.Name]: own } }),
    }));
    return outcome;
  }

  private values(executionArn: string): Values {
    const { description, parameters, properties, definition } = this.execution(executionArn);
    const propertiesOf = (step: string) => {
      if (properties[step] === undefined) throw new Error(`step ${step} has not run`);
      return properties[step];
    };
    return {
      parameters,
      execution: {
        PipelineName: nameOf(description.PipelineArn as string),
        PipelineArn: description.PipelineArn,
        PipelineExecutionArn: executionArn,
        PipelineExecutionId: executionArn.slice(executionArn.lastIndexOf('/') + 1),
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

  /** Which branch of a condition is taken. */
  private decide(executionArn: string, step: StepDefinition): Outcome {
    const values = this.values(executionArn);
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

  private async execute(
    executionArn: string,
    step: StepDefinition,
    begun: (metadata: PipelineExecutionStep['Metadata']) => void,
  ): Promise<Outcome> {
    if (step.Type === 'Condition') return this.decide(executionArn, step);
    const request = resolve(step.Arguments, this.values(executionArn)) as Record<string, unknown>;
    const id = executionArn.slice(executionArn.lastIndexOf('/') + 1);
    // SageMaker names the jobs of a pipeline so, in at most 63 characters; a step's name may have underscores, a job's not
    const name = `pipelines-${id}-${step.Name.slice(0, 28).replaceAll('_', '-')}-${unique(8)}`;
    switch (step.Type) {
      case 'Processing': {
        const job = this.processing.create({ ...request, ProcessingJobName: name } as never);
        const metadata = { ProcessingJob: { Arn: job.arn } };
        begun(metadata);
        await job.finished;
        const properties = this.processing.describe(name);
        return {
          metadata,
          properties,
          ...failureOf(properties.ProcessingJobStatus, properties.FailureReason),
        };
      }
      case 'Training': {
        const job = this.training.create({ ...request, TrainingJobName: name } as never);
        const metadata = { TrainingJob: { Arn: job.arn } };
        begun(metadata);
        await job.finished;
        const properties = this.training.describe(name);
        return {
          metadata,
          properties,
          ...failureOf(properties.TrainingJobStatus, properties.FailureReason),
        };
      }
      case 'RegisterModel': {
        const packageArn = this.registry.createPackage(request as never);
        return {
          metadata: { RegisterModel: { Arn: packageArn } },
          properties: this.registry.describePackage(packageArn),
        };
      }
      case 'Model': {
        const modelArn = this.registry.createModel({ ...request, ModelName: name } as never);
        return { metadata: { Model: { Arn: modelArn } }, properties: this.registry.describeModel(name) };
      }
      case 'EndpointConfig': {
        const configArn = this.endpoints.createConfig(request as never);
        const properties = this.endpoints.describeConfig(String(request.EndpointConfigName));
        return { metadata: { EndpointConfig: { Arn: configArn } }, properties };
      }
      case 'Endpoint': {
        const metadata = { Endpoint: { Arn: this.endpoints.deploy(request as never) } };
        begun(metadata);
        await this.endpoints.settled();
        const properties = this.endpoints.describe(String(request.EndpointName));
        const { EndpointConfigName, FailureReason } = properties;
        const moved = properties.EndpointStatus === 'InService' && EndpointConfigName === request.EndpointConfigName;
        return { metadata, properties, ...(!moved && { failure: FailureReason ?? 'no reason' }) };
      }
      case 'Fail': {
        const message = String(request.ErrorMessage);
        return { metadata: { Fail: { ErrorMessage: message } }, failure: message };
      }
      default:
        throw new Error(`steps of type ${step.Type} do not run locally yet`);
    }
  }
}

/** What a job's end means for its step. */
function failureOf(status: string | undefined, reason: string | undefined): Pick<Outcome, 'failure' | 'stopped'> {
  if (status === 'Completed') return {};
  if (status === 'Stopped' && reason === undefined) return { stopped: true, failure: 'its job was stopped' };
  return { failure: reason ?? 'no reason' };
}
