// Pushes a pipeline, starts it, and watches its steps: through the AWS SDK, on SageMaker as on this machine.
import {
  CreateModelPackageGroupCommand,
  CreatePipelineCommand,
  DescribePipelineExecutionCommand,
  DescribeTrainingJobCommand,
  ListPipelineExecutionStepsCommand,
  type MetricData,
  type PipelineExecutionStatus,
  type PipelineExecutionStep,
  type SageMakerClient,
  SageMakerServiceException,
  StartPipelineExecutionCommand,
  UpdatePipelineCommand,
} from '@aws-sdk/client-sagemaker';

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

/** @returns the ARN of the execution */
export async function startExecution(
  client: SageMakerClient,
  name: string,
  parameters: Readonly<Record<string, string>>,
): Promise<string> {
  const { PipelineExecutionArn } = await client.send(
    new StartPipelineExecutionCommand({
      PipelineName: name,
      PipelineParameters: Object.entries(parameters).map(([Name, Value]) => ({ Name, Value })),
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
  const { PipelineExecutionSteps = [] } = await client.send(
    new ListPipelineExecutionStepsCommand({ PipelineExecutionArn, MaxResults: 100 }),
  );
  const steps = [...PipelineExecutionSteps].sort(
    (a, b) => (a.StartTime?.getTime() ?? 0) - (b.StartTime?.getTime() ?? 0),
  );
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
  const { FinalMetricDataList = [] } = await client.send(new DescribeTrainingJobCommand({ TrainingJobName }));
  return FinalMetricDataList;
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
