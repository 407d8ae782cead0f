// What a tuning stage takes.
import type { Duration } from 'aws-cdk-lib';
import type { Text } from '../../pipeline';
import type { ByocTrainingProps } from '../training/byoc-training';
import type { ScriptModeTrainingProps } from '../training/script-mode-training';
import type { TrainingSettings } from '../training/training-settings';
import type { HyperparameterRange } from './hyperparameter-range';

/** Settings of a training job that a tuning's jobs do not have: they share no instances, and are neither debugged nor profiled. */
export const NOT_TUNED = [
  'keepAlive',
  'debugHook',
  'debugRules',
  'profiler',
  'profilerRules',
  'tensorBoardOutput',
] as const satisfies readonly (keyof TrainingSettings)[];

type NotTuned = (typeof NOT_TUNED)[number];

/** An image with its hyperparameters, as `ByocTraining` takes it. */
export type TunedImage = Omit<ByocTrainingProps, NotTuned>;

/** A script, as `ScriptModeTraining` takes it. */
export type TunedScript = Omit<ScriptModeTrainingProps, NotTuned>;

/** How hyperparameters are chosen: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html */
export type TuningStrategy = 'Bayesian' | 'Random' | 'Grid' | 'Hyperband';

/** What is tried, what it goes by, and what it may cost. */
export interface TuningProps {
  /**
   * Each of the training jobs, as a training stage takes it: an image with its hyperparameters, or a script. Its hyperparameters are
   * those that stay as they are; its tags and retry policies are the tuning's.
   */
  readonly training: TunedImage | TunedScript;
  /** What is searched, by the hyperparameters' names: `continuous`, `integer` or `categorical`. */
  readonly ranges: Readonly<Record<string, HyperparameterRange>>;
  /** Name of the metric that decides which job is the best, e.g. valid_accuracy. */
  readonly objective: string;
  /** @default by the metric's name: a loss or an error is minimised, an accuracy, Dice, F1 or AUC maximised */
  readonly objectiveType?: 'Minimize' | 'Maximize';
  /** @default Bayesian */
  readonly strategy?: TuningStrategy;
  /** Whether SageMaker stops jobs that will hardly become the best. Hyperband does it in its own way. @default Off */
  readonly earlyStopping?: 'Off' | 'Auto';
  /** With Hyperband: the epochs that each job has at least. @default none; needed with Hyperband */
  readonly minResource?: number;
  /** With Hyperband: the epochs after which a job is stopped, up to 20,000. @default none; needed with Hyperband */
  readonly maxResource?: number;
  /** @default 10; with Grid one for each combination */
  readonly maxJobs?: number;
  /** How many run at the same time; each needs its own instances. Bayesian learns from jobs that have ended. @default 1 */
  readonly maxParallelJobs?: number;
  /** Time after which the whole tuning ends, from 2 minutes to 30 days. @default 30 days: SageMaker's */
  readonly maxTotalRuntime?: Duration;
  /** USD that the instances may cost at most, if each job ran its full `maxRuntime` on demand. @default it is not checked */
  readonly maxCost?: number;
  /** USD for an hour of one instance. @default of common types a price on demand in us-east-1 of August 2026 */
  readonly pricePerHour?: number;
  /** Up to 5 more instance types, which SageMaker takes in this order when there is no capacity of `instanceType`. @default none */
  readonly fallbackInstanceTypes?: readonly Text[];
  /** The tuning ends when a job reaches this value of the objective. @default none */
  readonly targetObjective?: number;
  /** The tuning ends after so many jobs that were not 1 % better than the best, 3 or more. @default none */
  readonly maxJobsWithoutImprovement?: number;
  /** Whether the tuning ends when SageMaker sees that it has converged. @default false */
  readonly completeOnConvergence?: boolean;
  /** Names of 1 to 5 earlier tuning jobs, whose results are built on. @default none */
  readonly warmStartFrom?: readonly Text[];
  /**
   * IdenticalDataAndAlgorithm: the same data and image. TransferLearning: others.
   *
   * @default IdenticalDataAndAlgorithm
   */
  readonly warmStartType?: 'IdenticalDataAndAlgorithm' | 'TransferLearning';
  /** Of the choice of hyperparameters. @default another one each time */
  readonly seed?: number;
}

export const DEFAULT_MAX_JOBS = 10;
