// Pushes a pipeline, starts it, and watches its steps: through the AWS SDK, on SageMaker as on this machine.
import {
  CreateModelPackageGroupCommand,
  CreatePipelineCommand,
  DescribePipelineDefinitionForExecutionCommand,
  DescribePipelineExecutionCommand,
  DescribeTrainingJobCommand,
  ListPipelineExecutionsCommand,
  type MetricData,
  type PipelineExecutionStatus,
  type PipelineExecutionStep,
  paginateListPipelineExecutionSteps,
  type SageMakerClient,
  SageMakerServiceException,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
  UpdatePipelineCommand,
} from '@aws-sdk/client-sagemaker';
import { allSteps, type StepDefinition } from '../pipeline';
import { OperationError } from './errors';

export interface PushOptions {
  readonly name: string;
  readonly definition: string;
  readonly roleArn: string;
}

/** Whether the service refused because what was to be made is there already. */
function isThere(error: unknown): boolean {
  return (
    error instanceof SageMakerServiceException &&
    (error.name === 'ConflictException' || /already exist/.test(error.message))
  );
}

/** Makes the pipeline, or changes it where there is one. @returns its ARN */
export async function pushPipeline(
  client: SageMakerClient,
  { name, definition, roleArn }: PushOptions,
): Promise<string> {
  const request = { PipelineName: name, PipelineDefinition: definition, RoleArn: roleArn };
  try {
    const { PipelineArn } = await client.send(new CreatePipelineCommand(request));
    return PipelineArn as string;
  } catch (error) {
    if (!isThere(error)) throw error;
    const { PipelineArn } = await client.send(new UpdatePipelineCommand(request));
    return PipelineArn as string;
  }
}

/** Makes a model package group unless there is one. */
export async function ensureModelPackageGroup(client: SageMakerClient, name: string): Promise<void> {
  try {
    await client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name }));
  } catch (error) {
    if (!isThere(error)) throw error;
  }
}

/** Steps that run alone, with what an execution before made for the rest. */
export interface Selection {
  readonly steps: readonly string[];
  /** ARN of the execution before. @default the latest of the pipeline */
  readonly from?: string | undefined;
}

/**
 * Starts an execution of a pipeline.
 *
 * @returns the ARN of the execution
 * @throws OperationError where steps were selected and there is no execution before
 */
export async function startExecution(
  client: SageMakerClient,
  name: string,
  parameters: Readonly<Record<string, string>>,
  selection?: Selection,
): Promise<string> {
  const source = selection && (selection.from ?? (await findExecution(client, name)));
  const { PipelineExecutionArn } = await client.send(
    new StartPipelineExecutionCommand({
      PipelineName: name,
      PipelineParameters: Object.entries(parameters).map(([Name, Value]) => ({ Name, Value })),
      ...(selection && {
        SelectiveExecutionConfig: {
          SelectedSteps: selection.steps.map((StepName) => ({ StepName })),
          SourcePipelineExecutionArn: source,
        },
      }),
    }),
  );
  return PipelineExecutionArn as string;
}

/** An execution as it stands. */
export interface ExecutionState {
  readonly status: PipelineExecutionStatus;
  readonly failureReason?: string;
  /** Steps that have begun, oldest first. */
  readonly steps: readonly PipelineExecutionStep[];
  /** Last values of the metrics of the training job that runs, or ran last. */
  readonly metrics: readonly MetricData[];
}

export async function describeExecution(client: SageMakerClient, executionArn: string): Promise<ExecutionState> {
  const PipelineExecutionArn = executionArn;
  const { PipelineExecutionStatus, FailureReason } = await client.send(
    new DescribePipelineExecutionCommand({ PipelineExecutionArn }),
  );
  const begun: PipelineExecutionStep[] = [];
  const pages = paginateListPipelineExecutionSteps({ client, pageSize: 100 }, { PipelineExecutionArn });
  for await (const { PipelineExecutionSteps = [] } of pages) begun.push(...PipelineExecutionSteps);
  const steps = begun.sort((a, b) => (a.StartTime?.getTime() ?? 0) - (b.StartTime?.getTime() ?? 0));
  const training = steps.findLast((step) => step.Metadata?.TrainingJob)?.Metadata?.TrainingJob?.Arn;
  const metrics = training ? await trainingMetrics(client, training) : [];
  return {
    status: PipelineExecutionStatus as PipelineExecutionStatus,
    steps,
    metrics,
    ...(FailureReason !== undefined && { failureReason: FailureReason }),
  };
}

async function trainingMetrics(client: SageMakerClient, jobArn: string): Promise<readonly MetricData[]> {
  const TrainingJobName = jobArn.slice(jobArn.indexOf('/') + 1);
  try {
    const { FinalMetricDataList = [] } = await client.send(new DescribeTrainingJobCommand({ TrainingJobName }));
    return FinalMetricDataList;
  } catch (error) {
    // who may see the pipeline need not be allowed to see its jobs
    if (error instanceof SageMakerServiceException && error.name === 'AccessDeniedException') return [];
    throw error;
  }
}

/** All steps that an execution may run, those in branches too. */
export async function executionDefinition(
  client: SageMakerClient,
  executionArn: string,
): Promise<readonly StepDefinition[]> {
  const { PipelineDefinition = '{}' } = await client.send(
    new DescribePipelineDefinitionForExecutionCommand({ PipelineExecutionArn: executionArn }),
  );
  const { Steps = [] } = JSON.parse(PipelineDefinition) as { Steps?: readonly StepDefinition[] };
  return allSteps(Steps);
}

/**
 * The ARN of an execution that is named by its ARN, or by its pipeline: then the one that was started last.
 *
 * @throws OperationError where the pipeline has none
 */
export async function findExecution(client: SageMakerClient, named: string): Promise<string> {
  if (named.includes('/execution/')) return named;
  const { PipelineExecutionSummaries: [latest] = [] } = await client.send(
    new ListPipelineExecutionsCommand({
      PipelineName: named,
      SortBy: 'CreationTime',
      SortOrder: 'Descending',
      MaxResults: 1,
    }),
  );
  if (latest?.PipelineExecutionArn !== undefined) return latest.PipelineExecutionArn;
  throw new OperationError(`the pipeline ${named} has no execution yet.`, `start one: scanline start ${named}.`);
}

/** Asks for the end of an execution: its jobs are stopped, which takes a while. */
export async function stopExecution(client: SageMakerClient, executionArn: string): Promise<void> {
  await client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn: executionArn }));
}

/** Whether an execution has come to its end. */
export function isOver({ status }: ExecutionState): boolean {
  return status === 'Succeeded' || status === 'Failed' || status === 'Stopped';
}

/** The execution's state, again and again until it is over; the last one is its end. */
export async function* watchExecution(
  client: SageMakerClient,
  executionArn: string,
  milliseconds: number,
): AsyncGenerator<ExecutionState> {
  for (;;) {
    const state = await describeExecution(client, executionArn);
    yield state;
    if (isOver(state)) return;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
}
