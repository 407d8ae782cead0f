// Executions of pipelines, as the API knows them: what was started, how far it is, how it ended.
import { join } from 'node:path';
import type {
  DescribePipelineDefinitionForExecutionResponse,
  DescribePipelineExecutionResponse,
  ListPipelineExecutionsRequest,
  Parameter,
  PipelineExecutionStep,
  PipelineExecutionSummary,
  SelectiveExecutionConfig,
  StartPipelineExecutionRequest,
} from '@aws-sdk/client-sagemaker';
import { allSteps } from '../../pipeline';
import { invalid, notFound, ServiceError } from '../errors';
import { unique } from '../names';
import { chooseParameters, type Definition, type Pipelines } from '../pipelines';
import type { FolderS3 } from '../s3';
import { Collection } from '../store';
import { type Execution, ExecutionRun } from './run';
import { type Beginning, chosen, reuse } from './selection';
import { type StepServices, type StepType, stepTypes, stopJob } from './step-types';

export class Executions {
  readonly executions: Collection<Execution>;
  private readonly types: Readonly<Record<string, StepType>>;
  private readonly inProgress = new Set<Promise<void>>();
  private readonly stopping = new Set<string>();
  private suspended = false;

  constructor(
    root: string,
    private readonly s3: FolderS3,
    private readonly pipelines: Pipelines,
    private readonly services: StepServices,
  ) {
    this.executions = new Collection(join(root, 'pipeline-executions'));
    this.types = stepTypes(services);
  }

  /** Begins an execution. */
  start({
    PipelineName = '',
    PipelineParameters = [],
    PipelineExecutionDisplayName,
    PipelineExecutionDescription,
    ClientRequestToken: token,
    SelectiveExecutionConfig: selection,
    ParallelismConfiguration: parallelism,
  }: StartPipelineExecutionRequest): string {
    const pipeline = this.pipelines.describe(PipelineName);
    const begun = token === undefined ? undefined : this.begunWith(token, pipeline.PipelineArn);
    if (begun !== undefined) return begun;
    const definition = JSON.parse(pipeline.PipelineDefinition as string) as Definition;
    const given = Object.fromEntries(PipelineParameters.map(({ Name, Value }) => [Name, Value]));
    const parameters = chooseParameters(definition, given);
    const selected = selection?.SelectedSteps?.map(({ StepName = '' }) => StepName);
    const beginning = this.beginning(definition, selection);
    this.requireRunnable(definition, selected);
    const parallel = (parallelism ?? pipeline.ParallelismConfiguration)?.MaxParallelExecutionSteps;
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
      ...(selected && { selected }),
      ...(parallel !== undefined && { parallel }),
      ...beginning,
    });
    this.run(executionArn);
    return executionArn;
  }

  /** What there is before the first step: nothing, or what an execution before left for the selected steps. */
  private beginning({ Steps }: Definition, selection?: SelectiveExecutionConfig): Beginning {
    if (selection === undefined) return { steps: [], properties: {} };
    const { SourcePipelineExecutionArn: arn } = selection;
    return reuse(selection, Steps, arn === undefined ? undefined : this.execution(arn));
  }

  /** @throws ValidationException naming the steps that cannot run here, before one that can has taken its time */
  private requireRunnable({ Steps }: Definition, selected?: readonly string[]): void {
    const types = ['Condition', ...Object.keys(this.types)];
    const others = allSteps(chosen(Steps, selected)).filter(({ Type }) => !types.includes(Type));
    if (others.length === 0) return;
    const named = others.map(({ Name, Type }) => `${Name} (${Type})`).join(', ');
    throw invalid(
      `these steps do not run on this machine: ${named}; those that do are of the types ${types.join(', ')}. ` +
        'Select the other steps (SelectiveExecutionConfig), or run the pipeline on SageMaker',
    );
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
    for (const { StepStatus, Metadata } of steps) if (StepStatus === 'Executing') stopJob(this.services, Metadata);
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
    const run = new ExecutionRun(executionArn, this.types, this.s3, {
      read: () => this.execution(executionArn),
      change: (change) => this.change(executionArn, change),
      isStopping: () => this.stopping.has(executionArn),
      isSuspended: () => this.isSuspended(executionArn),
    });
    const done = run
      .run()
      .catch((error: Error) => ({ status: 'Failed', failure: error.message }) as const)
      .then(({ status, failure }) => {
        if (!this.isSuspended(executionArn)) this.setStatus(executionArn, status, failure);
      });
    this.inProgress.add(done);
    void done.finally(() => this.inProgress.delete(done));
  }

  /** Whether an execution waits for the next control plane; one that is being stopped comes to its end in this one. */
  private isSuspended(executionArn: string): boolean {
    return this.suspended && !this.stopping.has(executionArn);
  }
}
