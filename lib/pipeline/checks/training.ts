// Training and tuning jobs: spot, warm pools, metrics and strategies that do not go together.
import type { StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Fields, fields, inStep, isExpression, isPlaceholder, list } from './context';
import { metricNames } from './references';

/** A training job that a step runs, itself or many times. */
interface Job {
  /** Where it stands in the arguments, with a point behind. */
  readonly at: string;
  readonly job: Fields;
  readonly tuned: boolean;
}

function jobsOf({ Type, Arguments = {} }: StepDefinition): Job[] {
  if (Type === 'Training') return [{ at: '', job: Arguments, tuned: false }];
  if (Type !== 'Tuning') return [];
  const { TrainingJobDefinition: one, TrainingJobDefinitions: several } = Arguments;
  return [
    ...(one === undefined ? [] : [{ at: 'TrainingJobDefinition.', job: fields(one), tuned: true }]),
    ...list(several).map((job, i) => ({ at: `TrainingJobDefinitions[${i}].`, job: fields(job), tuned: true })),
  ];
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html */
function checkSpot(step: StepDefinition, { at, job }: Job): Finding[] {
  const spot = job.EnableManagedSpotTraining === true;
  const { MaxRuntimeInSeconds: run, MaxWaitTimeInSeconds: wait } = fields(job.StoppingCondition);
  const findings: Finding[] = [];
  if (spot && job.CheckpointConfig === undefined)
    findings.push(
      inStep(
        step,
        `its ${at}EnableManagedSpotTraining is true, without ${at}CheckpointConfig: an interrupted job would begin anew.`,
        'give it CheckpointConfig with the S3Uri that checkpoints are kept at.',
      ),
    );
  if (spot && wait === undefined)
    findings.push(
      inStep(
        step,
        `its ${at}EnableManagedSpotTraining is true, without ${at}StoppingCondition.MaxWaitTimeInSeconds.`,
        'give it MaxWaitTimeInSeconds: the run time and the time that may pass in waiting for spot instances.',
      ),
    );
  if (typeof run === 'number' && typeof wait === 'number' && !isPlaceholder(wait) && wait < run)
    findings.push(
      inStep(
        step,
        `its ${at}StoppingCondition.MaxWaitTimeInSeconds is ${wait}, less than MaxRuntimeInSeconds, ${run}.`,
        `set MaxWaitTimeInSeconds to at least ${run}: it counts waiting and running.`,
      ),
    );
  return findings;
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html */
function checkWarmPool(step: StepDefinition, { at, job, tuned }: Job): Finding[] {
  const keep = fields(job.ResourceConfig).KeepAlivePeriodInSeconds;
  if (keep === undefined || keep === 0) return [];
  const where = `its ${at}ResourceConfig.KeepAlivePeriodInSeconds asks for a warm pool`;
  if (tuned) return [inStep(step, `${where}, which tuning jobs do not have.`, 'leave out KeepAlivePeriodInSeconds.')];
  if (job.EnableManagedSpotTraining !== true) return [];
  return [
    inStep(
      step,
      `${where}, which spot training does not have.`,
      'leave out KeepAlivePeriodInSeconds or EnableManagedSpotTraining.',
    ),
  ];
}

function checkObjective(step: StepDefinition, { at, job, tuned }: Job): Finding[] {
  if (!tuned) return [];
  const objective =
    job.TuningObjective ?? fields(step.Arguments?.HyperParameterTuningJobConfig).HyperParameterTuningJobObjective;
  const metric = fields(objective).MetricName;
  const emitted = metricNames(fields(job.AlgorithmSpecification));
  if (typeof metric !== 'string' || emitted === undefined || emitted.includes(metric)) return [];
  return [
    inStep(
      step,
      `its objective is the metric ${metric}, which ${at.slice(0, -1)} does not emit.`,
      `add it to the MetricDefinitions (there are: ${emitted.join(', ') || 'none'}).`,
    ),
  ];
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html */
function checkStrategy(step: StepDefinition): Finding[] {
  if (step.Type !== 'Tuning') return [];
  const config = fields(step.Arguments?.HyperParameterTuningJobConfig);
  if (config.Strategy === 'Grid') return checkGrid(step, config);
  if (config.Strategy !== 'Hyperband') return [];
  const findings: Finding[] = [];
  const { MinResource: least, MaxResource: most } = fields(fields(config.StrategyConfig).HyperbandStrategyConfig);
  if (least === undefined || most === undefined)
    findings.push(
      inStep(
        step,
        'its strategy is Hyperband, without the bounds of its resource.',
        'give StrategyConfig.HyperbandStrategyConfig MinResource and MaxResource: the epochs of the shortest and the longest job.',
      ),
    );
  if (typeof least === 'number' && typeof most === 'number' && least >= most)
    findings.push(
      inStep(
        step,
        `its Hyperband MinResource is ${least}, not less than MaxResource, ${most}.`,
        'make MaxResource more.',
      ),
    );
  if (config.TrainingJobEarlyStoppingType !== undefined && config.TrainingJobEarlyStoppingType !== 'Off')
    findings.push(
      inStep(
        step,
        `its strategy is Hyperband, which stops jobs itself, and TrainingJobEarlyStoppingType is ${config.TrainingJobEarlyStoppingType}.`,
        'set TrainingJobEarlyStoppingType to Off.',
      ),
    );
  return findings;
}

function checkGrid(step: StepDefinition, config: Fields): Finding[] {
  const { IntegerParameterRanges, ContinuousParameterRanges } = fields(config.ParameterRanges);
  if (list(IntegerParameterRanges).length + list(ContinuousParameterRanges).length === 0) return [];
  return [
    inStep(
      step,
      'its strategy is Grid, with ranges of numbers.',
      'list the values in CategoricalParameterRanges: a grid has nothing else.',
    ),
  ];
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-automl */
function checkAutoML(step: StepDefinition): Finding[] {
  if (step.Type !== 'AutoML') return [];
  const mode = fields(step.Arguments?.AutoMLJobConfig).Mode;
  if (mode === 'ENSEMBLING' || isExpression(mode)) return [];
  return [
    inStep(
      step,
      `its AutoMLJobConfig.Mode is ${mode ?? 'not given'}; pipelines run no other than ENSEMBLING.`,
      'set AutoMLJobConfig.Mode to ENSEMBLING.',
    ),
  ];
}

export function checkTraining(step: StepDefinition): Finding[] {
  const jobs = jobsOf(step).flatMap((job) => [
    ...checkSpot(step, job),
    ...checkWarmPool(step, job),
    ...checkObjective(step, job),
  ]);
  return [...jobs, ...checkStrategy(step), ...checkAutoML(step)];
}
