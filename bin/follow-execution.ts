// What `scanline start --wait` and `scanline watch` do: show the steps of an execution until it ends, and fail where it fails.
import { constants } from 'node:os';
import type { PipelineExecutionStep, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { Listr } from 'listr2';
import { OperationError } from '../lib/operations/errors';
import { type ExecutionState, executionDefinition, watchExecution } from '../lib/operations/execution';
import { seconds } from '../lib/operations/execution-report';
import { LIVE, stepTasks, withLines } from './step-tasks';

/** Milliseconds between two looks of the tasks at what was seen last. */
const REFRESH = 100;

/** Where the log of a step's job is; undefined where it has none. */
function logOf({ Metadata }: PipelineExecutionStep): string | undefined {
  const jobs = {
    TrainingJobs: Metadata?.TrainingJob?.Arn,
    ProcessingJobs: Metadata?.ProcessingJob?.Arn,
    TransformJobs: Metadata?.TransformJob?.Arn,
  };
  for (const [group, arn] of Object.entries(jobs)) {
    if (arn === undefined) continue;
    const name = arn.slice(arn.indexOf('/') + 1);
    return `aws logs tail /aws/sagemaker/${group} --since 7d --log-stream-name-prefix ${name}`;
  }
  return undefined;
}

function requireSuccess({ status, failureReason, steps }: ExecutionState): void {
  if (status === 'Succeeded') return;
  const failed = steps.find(({ StepStatus }) => StepStatus === 'Failed');
  const log = failed && logOf(failed);
  throw new OperationError(
    `the execution is ${status}: ${failureReason ?? failed?.FailureReason ?? 'no reason was given'}`,
    log === undefined ? 'see the reason.' : `read the log: ${log}`,
  );
}

/** Ends the watching by a signal: the execution goes on, and how to stop it is said. */
function leaveOnSignal(executionArn: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      process.stderr.write(`\nthe execution goes on; to end it: scanline stop ${executionArn}\n`);
      process.exit(128 + constants.signals[signal]);
    });
  }
}

/**
 * @param every seconds between two looks at the execution
 * @throws OperationError where it does not succeed, with the reason and where to read on
 */
export async function followExecution(client: SageMakerClient, executionArn: string, every: number): Promise<void> {
  leaveOnSignal(executionArn);
  const begun = new Date();
  let state: ExecutionState | undefined;
  let over = false;
  const watch = async () => {
    for await (const seen of watchExecution(client, executionArn, every * 1000)) state = seen;
  };
  const watching = watch().finally(() => {
    over = true;
  });
  // what went wrong with it is told when it is waited for
  watching.catch(() => {});
  const tasks = stepTasks(
    await executionDefinition(client, executionArn),
    () => state,
    () => over,
    REFRESH,
  );
  const renderer = LIVE ? 'default' : 'silent';
  const options = { concurrent: true, exitOnError: false, registerSignalListeners: false, renderer } as const;
  await new Listr(withLines(tasks), options).run();
  await watching;
  requireSuccess(state as ExecutionState);
  const start = (state as ExecutionState).steps[0]?.StartTime ?? begun;
  process.stdout.write(`✓ ${executionArn} has succeeded (${seconds(start, new Date()).toFixed(0)} s)\n`);
}
