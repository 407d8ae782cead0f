// What the task of a training stack decides: its network, and what its gate asks for.
import type { Construct } from 'constructs';
import { type TaskName, taskOf } from '../../training/hyperparameters';
import { type Finding, PipelineError } from '../pipeline';
import { refusal } from '../stages/checks/checks';
import { checkHyperparameters, knownValue, type TrainingHyperparameters } from '../stages/training/byoc-training';
import type { TrainingStackProps } from './training-stack';

interface Gate {
  /** Property of the evaluation. */
  readonly metric: 'accuracy' | 'dice';
  /** What people call it. */
  readonly metricName: string;
  /** Name of the pipeline's parameter. */
  readonly parameter: string;
  readonly least: number;
}

interface ChosenTask {
  readonly task: TaskName;
  readonly hyperparameters: TrainingHyperparameters | undefined;
  readonly gate: Gate;
}

/**
 * @param found what is wrong otherwise
 * @throws PipelineError naming that, and each prop that is for the other task
 */
export function chooseTask(scope: Construct, props: TrainingStackProps, found: readonly Finding[]): ChosenTask {
  const { hyperparameters, leastAccuracy, leastDice } = props;
  const network = knownValue(hyperparameters?.model_name);
  const ofNetwork = typeof network === 'string' ? taskOf(network) : undefined;
  const task = props.task ?? ofNetwork ?? 'classification';
  const findings = [...found];
  const refuse = (prop: string, given: unknown, allowed: string, fix: string) =>
    findings.push(refusal(scope.node.path, prop, given, allowed, fix));
  if (ofNetwork !== undefined && ofNetwork !== task) {
    const given = `${network}, which is for ${ofNetwork}, with the task ${task}`;
    refuse('hyperparameters.model_name', given, `a network for ${task}`, 'leave task out, or choose another network');
  }
  if (task === 'segmentation' && leastAccuracy !== undefined)
    refuse('leastAccuracy', leastAccuracy, 'leastDice for segmentation', 'give leastDice instead');
  if (task === 'classification' && leastDice !== undefined)
    refuse('leastDice', leastDice, 'leastAccuracy for classification', 'give leastAccuracy instead, or a task');
  const chosen: TrainingHyperparameters | undefined =
    task === 'segmentation' ? { model_name: 'segresnet', ...hyperparameters } : hyperparameters;
  findings.push(...checkHyperparameters(scope.node.path, chosen ?? {}, 'hyperparameters'));
  if (findings.length > 0) throw new PipelineError(scope.node.path, findings);
  const gate: Gate =
    task === 'classification'
      ? { metric: 'accuracy', metricName: 'accuracy', parameter: 'LeastAccuracy', least: leastAccuracy ?? 0.9 }
      : { metric: 'dice', metricName: 'mean Dice', parameter: 'LeastDice', least: leastDice ?? 0.7 };
  return { task, hyperparameters: chosen, gate };
}
