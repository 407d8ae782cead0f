// The steps of an execution as people see them: moving on a terminal, a line for each in a log.
import type { ListrTask } from 'listr2';
import type { ExecutionState } from '../lib/operations/execution';
import { seconds } from '../lib/operations/execution-report';
import type { StepDefinition } from '../lib/pipeline';

/** A training's metrics as one line. */
function describeMetrics({ metrics }: ExecutionState): string {
  return metrics.map(({ MetricName, Value }) => `${MetricName} ${Number(Value).toPrecision(3)}`).join(', ');
}

/** Whether tasks are shown as they move, on a terminal that has a width (one in a container may have none); elsewhere each is a line when it has ended. */
export const LIVE = process.stdout.isTTY === true && process.stdout.columns > 0;

/**
 * Tasks that show the steps of a definition while an execution goes on; each ends when its step does.
 *
 * @param steps all of them, those in branches too
 * @param states the execution as it was last seen
 * @param over whether it will not be looked at any more
 * @param poll milliseconds between two looks
 */
export function stepTasks(
  steps: readonly StepDefinition[],
  states: () => ExecutionState | undefined,
  over: () => boolean,
  poll: number,
): ListrTask[] {
  const recordOf = (name: string) => states()?.steps.find(({ StepName }) => StepName === name);
  return steps.map((step) => ({
    title: step.Name,
    task: async (_context, task) => {
      let begun = false;
      if (LIVE) task.title = `${step.Name} (waits)`;
      for (;;) {
        const record = recordOf(step.Name);
        const state = states();
        if (record?.StepStatus === 'Executing' && !begun) {
          begun = true;
          if (!LIVE) process.stdout.write(`  ${step.Name} has begun\n`);
        }
        if (LIVE && begun) task.title = `${step.Name} (${seconds(record?.StartTime, new Date()).toFixed(0)} s)`;
        if (record?.StepStatus === 'Executing' && state && record.Metadata?.TrainingJob) {
          const line = describeMetrics(state);
          if (!LIVE && line !== '' && line !== task.output) process.stdout.write(`  ${step.Name}: ${line}\n`);
          task.output = line;
        }
        if (record?.StepStatus === 'Succeeded') {
          if (record.SelectiveExecutionResult) {
            task.title = `${step.Name} (of the execution before)`;
            return;
          }
          const result = record.Metadata?.Condition ? `: ${record.Metadata.Condition.Outcome}` : '';
          task.title = `${step.Name}${result} (${seconds(record.StartTime, record.EndTime).toFixed(1)} s)`;
          return;
        }
        if (record?.StepStatus === 'Failed') {
          const message = `${step.Name}: ${record.FailureReason ?? 'failed, for a reason that SageMaker does not tell'}`;
          if (!LIVE) process.stdout.write(`✗ ${message}\n`);
          task.title = step.Name;
          throw new Error(message);
        }
        if (over()) {
          task.title = step.Name;
          task.skip(`${step.Name} (${record === undefined ? 'not reached' : record.StepStatus})`);
          return;
        }
        await new Promise((wake) => setTimeout(wake, poll));
      }
    },
    exitOnError: false,
  }));
}

/** Elsewhere than on a terminal, a line for each task that has ended well. */
export function withLines(tasks: ListrTask[]): ListrTask[] {
  if (LIVE) return tasks;
  return tasks.map((entry) => ({
    ...entry,
    task: async (context, task) => {
      const result = await entry.task(context, task);
      if (!task.task.isSkipped() && result === undefined) process.stdout.write(`✓ ${task.title}\n`);
      return result;
    },
  }));
}
