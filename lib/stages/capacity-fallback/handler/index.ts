// The function that EventBridge wakes when an execution has failed: where a step found no capacity, it starts the execution again on
// the next instance type. It runs in Lambda's Node.js runtime, with the AWS SDK that is there; nothing else is packed with it.
import { createHash } from 'node:crypto';
import {
  DescribePipelineExecutionCommand,
  ListPipelineExecutionStepsCommand,
  ListPipelineParametersForExecutionCommand,
  type Parameter,
  type PipelineExecutionStep,
  SageMakerClient,
  StartPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';

/** What the construct tells the function, as JSON in its environment variable FALLBACK. */
export interface Fallback {
  /** Name of the pipeline's parameter of the instance type. */
  readonly parameter: string;
  /** What the parameter is where nobody chose. */
  readonly defaultType?: string;
  /** In the order in which they are tried. */
  readonly instanceTypes: readonly string[];
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html */
export interface ExecutionEvent {
  readonly detail: {
    readonly pipelineArn: string;
    readonly pipelineExecutionArn: string;
    readonly currentPipelineExecutionStatus: string;
  };
}

/** What became of an event. */
export type Outcome =
  | { readonly started: string; readonly instanceType: string }
  | { readonly started: false; readonly because: string };

/** How SageMaker says that it has no instances: of training jobs, of others, and of EC2 beneath them. */
const NO_CAPACITY =
  /CapacityError|InsufficientCapacity|InsufficientInstanceCapacity|Unable to provision requested ML compute capacity/;

const client = new SageMakerClient();

async function stepsOf(PipelineExecutionArn: string): Promise<PipelineExecutionStep[]> {
  const steps: PipelineExecutionStep[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(new ListPipelineExecutionStepsCommand({ PipelineExecutionArn, NextToken }));
    steps.push(...(page.PipelineExecutionSteps ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return steps;
}

async function parametersOf(PipelineExecutionArn: string): Promise<Parameter[]> {
  const parameters: Parameter[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(new ListPipelineParametersForExecutionCommand({ PipelineExecutionArn, NextToken }));
    parameters.push(...(page.PipelineParameters ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return parameters;
}

/** The type after the present one: each start goes one further, so that they come to an end. */
function nextType({ instanceTypes }: Fallback, present: string | undefined): string | { readonly because: string } {
  const index = instanceTypes.indexOf(present ?? '');
  if (index < 0) return { because: `it ran on ${present}, which is none of ${instanceTypes.join(', ')}` };
  return instanceTypes[index + 1] ?? { because: `it ran on ${present}, the last of ${instanceTypes.join(', ')}` };
}

/** The same execution, but for the instance type; once, however often the event comes. */
async function startOn(type: string, event: ExecutionEvent, parameters: readonly Parameter[]): Promise<string> {
  const { pipelineArn, pipelineExecutionArn } = event.detail;
  const execution = await client.send(
    new DescribePipelineExecutionCommand({ PipelineExecutionArn: pipelineExecutionArn }),
  );
  const note = `On ${type}, as there was no capacity for ${pipelineExecutionArn}`;
  const { PipelineExecutionArn } = await client.send(
    new StartPipelineExecutionCommand({
      PipelineName: pipelineArn,
      PipelineParameters: [...parameters],
      PipelineExecutionDescription: [execution.PipelineExecutionDescription, note]
        .filter(Boolean)
        .join('\n')
        .slice(-3072),
      ParallelismConfiguration: execution.ParallelismConfiguration,
      SelectiveExecutionConfig: execution.SelectiveExecutionConfig,
      PipelineVersionId: execution.PipelineVersionId,
      MlflowExperimentName: execution.MLflowConfig?.MlflowExperimentName,
      ClientRequestToken: createHash('sha256').update(`${pipelineExecutionArn} ${type}`).digest('hex'),
    }),
  );
  return PipelineExecutionArn ?? '';
}

async function fallBack(fallback: Fallback, event: ExecutionEvent): Promise<Outcome> {
  const { pipelineExecutionArn, currentPipelineExecutionStatus: status } = event.detail;
  if (status !== 'Failed') return { started: false, because: `it is ${status}` };
  const steps = await stepsOf(pipelineExecutionArn);
  if (!steps.some(({ StepStatus, FailureReason }) => StepStatus === 'Failed' && NO_CAPACITY.test(FailureReason ?? '')))
    return { started: false, because: 'no step failed for want of capacity' };
  const parameters = await parametersOf(pipelineExecutionArn);
  const present = parameters.find(({ Name }) => Name === fallback.parameter)?.Value ?? fallback.defaultType;
  const next = nextType(fallback, present);
  if (typeof next !== 'string') return { started: false, because: next.because };
  const others = parameters.filter(({ Name }) => Name !== fallback.parameter);
  const started = await startOn(next, event, [...others, { Name: fallback.parameter, Value: next }]);
  return { started, instanceType: next };
}

export async function handler(event: ExecutionEvent): Promise<Outcome> {
  const outcome = await fallBack(JSON.parse(process.env.FALLBACK ?? '{}') as Fallback, event);
  console.log(JSON.stringify({ execution: event.detail.pipelineExecutionArn, ...outcome }));
  return outcome;
}
