// What of a tuning is refused at synth, all at once.
import type { Finding } from '../../pipeline';
import { checkInstanceType, checkOneOf, checkSeconds, checkWhole, type Refuse, refusals } from '../checks/checks';
import { knownText } from '../checks/known-text';
import { hasLocalDisks } from '../checks/local-disks';
import { DEFAULT_INSTANCE_TYPE } from '../training/training-settings';
import { checkBudget, jobsOf } from './budget';
import { checkRanges, combinations } from './hyperparameter-range';
import { checkObjective } from './objective';
import { NOT_TUNED, type TuningProps } from './tuning-props';

/**
 * Hard limits; of the adjustable ones the most that AWS raises them to.
 * https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
 */
const MOST_JOBS = { Bayesian: 750, Random: 10_000, Grid: 750, Hyperband: 750 } as const;
const MOST_PARALLEL_JOBS = 100;
/** What an account has at first: a warning. */
const QUOTA_JOBS = 750;
const QUOTA_PARALLEL_JOBS = 10;
/** Seconds: 30 days. */
const LONGEST_TUNING = 30 * 86_400;
/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperbandStrategyConfig.html */
const MOST_RESOURCE = 20_000;
const MOST_PARENTS = 5;
/** HyperParameterTuningResourceConfig.InstanceConfigs takes 6, `instanceType` among them. */
const MOST_FALLBACKS = 5;

function checkStrategy(props: TuningProps, refuse: Refuse): void {
  const { strategy = 'Bayesian', earlyStopping = 'Off', minResource, maxResource } = props;
  checkOneOf('strategy', strategy, Object.keys(MOST_JOBS), refuse);
  checkOneOf('earlyStopping', earlyStopping, ['Off', 'Auto'], refuse);
  if (strategy !== 'Hyperband') {
    for (const prop of ['minResource', 'maxResource'] as const) {
      if (props[prop] === undefined) continue;
      refuse(
        prop,
        `${props[prop]} with ${strategy}`,
        'it with Hyperband alone',
        `set strategy to Hyperband, or leave ${prop} out`,
      );
    }
    return;
  }
  if (earlyStopping !== 'Off') {
    refuse('earlyStopping', `${earlyStopping} with Hyperband`, 'Off, as Hyperband stops jobs itself', 'leave it out');
  }
  for (const prop of ['minResource', 'maxResource'] as const) {
    if (props[prop] !== undefined) checkWhole(prop, props[prop], [1, MOST_RESOURCE], refuse);
    else
      refuse(
        prop,
        'left out with Hyperband',
        `epochs, from 1 to ${MOST_RESOURCE}`,
        'give the epochs that a job has, least and most',
      );
  }
  if (minResource !== undefined && maxResource !== undefined && minResource >= maxResource) {
    refuse(
      'minResource',
      minResource,
      `less than maxResource, ${maxResource}`,
      'lower minResource, or raise maxResource',
    );
  }
}

function checkGrid({ ranges, maxJobs }: TuningProps, refuse: Refuse): void {
  for (const [name, { type }] of Object.entries(ranges)) {
    if (type === 'categorical') continue;
    refuse(`ranges.${name}`, `${type} with Grid`, 'with Grid categorical', 'list the values with categorical([...])');
  }
  const all = combinations(ranges);
  if (maxJobs !== undefined && maxJobs !== all) {
    refuse('maxJobs', maxJobs, `with Grid the number of combinations, ${all}`, 'leave maxJobs out');
  }
  if (all > MOST_JOBS.Grid) {
    const fix = 'leave values out, or set strategy to Random';
    refuse('ranges', `a grid of ${all} combinations`, `up to ${MOST_JOBS.Grid}`, fix);
  }
}

function checkLimits(props: TuningProps, refuse: Refuse): void {
  const { strategy = 'Bayesian', maxParallelJobs = 1 } = props;
  if (strategy === 'Grid') checkGrid(props, refuse);
  else checkWhole('maxJobs', props.maxJobs, [1, MOST_JOBS[strategy] ?? MOST_JOBS.Bayesian], refuse);
  checkWhole('maxParallelJobs', maxParallelJobs, [1, MOST_PARALLEL_JOBS], refuse);
  const jobs = jobsOf(props);
  if (jobs >= 1 && maxParallelJobs > jobs) {
    refuse('maxParallelJobs', maxParallelJobs, `up to the number of jobs, ${jobs}`, 'lower it, or raise maxJobs');
  }
  checkSeconds('maxTotalRuntime', props.maxTotalRuntime, [120, LONGEST_TUNING, 'from 2 minutes to 30 days'], refuse);
  checkWhole('maxJobsWithoutImprovement', props.maxJobsWithoutImprovement, [3, Number.POSITIVE_INFINITY], refuse);
  checkWhole('seed', props.seed, [0, 2 ** 31 - 1], refuse);
  const { targetObjective } = props;
  if (targetObjective !== undefined && !Number.isFinite(targetObjective)) {
    refuse('targetObjective', targetObjective, 'a number', 'give the value of the objective that is good enough');
  }
}

function checkWarmStart({ warmStartFrom, warmStartType }: TuningProps, refuse: Refuse): void {
  checkOneOf('warmStartType', warmStartType, ['IdenticalDataAndAlgorithm', 'TransferLearning'], refuse);
  if (!warmStartFrom) {
    if (warmStartType)
      refuse('warmStartType', `${warmStartType} without warmStartFrom`, 'it with parents', 'set warmStartFrom');
    return;
  }
  if (warmStartFrom.length < 1 || warmStartFrom.length > MOST_PARENTS) {
    refuse('warmStartFrom', `${warmStartFrom.length} of them`, `1 to ${MOST_PARENTS}`, 'name that many tuning jobs');
  }
  for (const name of warmStartFrom.map(knownText)) {
    if (name === undefined || /^[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,31}$/.test(name)) continue;
    refuse(
      'warmStartFrom',
      `'${name}'`,
      'names of tuning jobs, up to 32 letters, digits and hyphens',
      'give the name, not the ARN',
    );
  }
}

/** The service's own list of instance types is in place of the one type. */
function checkInstances({ training, fallbackInstanceTypes }: TuningProps, refuse: Refuse): void {
  if (!fallbackInstanceTypes) return;
  const { length } = fallbackInstanceTypes;
  if (length < 1 || length > MOST_FALLBACKS) {
    refuse('fallbackInstanceTypes', `${length} of them`, `1 to ${MOST_FALLBACKS}`, 'give that many, or leave it out');
  }
  const types = [training.instanceType ?? DEFAULT_INSTANCE_TYPE, ...fallbackInstanceTypes].map(knownText);
  fallbackInstanceTypes.forEach((type, index) => {
    const prop = `fallbackInstanceTypes[${index}]`;
    checkInstanceType(prop, type, refuse);
    const known = types[index + 1];
    if (known === undefined || types.indexOf(known) > index) return;
    refuse(prop, `'${known}' again`, 'each type once', 'leave it out');
  });
  const disks = new Set(types.filter((type) => type !== undefined).map(hasLocalDisks));
  if (training.volumeKey && disks.size > 1) {
    const fix = 'choose types that all have local disks, as ml.g5 and ml.g6, or none';
    refuse(
      'fallbackInstanceTypes',
      'with and without local disks',
      'with volumeKey one kind, for SageMaker takes one key for all',
      fix,
    );
  }
}

function checkTrainingOfTuning({ training, ranges }: TuningProps, refuse: Refuse): void {
  for (const prop of NOT_TUNED) {
    // types leave them out, and JavaScript lets them in
    if (!(prop in training) || (training as Readonly<Record<string, unknown>>)[prop] === undefined) continue;
    refuse(
      `training.${prop}`,
      'given',
      'it in a training alone: the jobs of a tuning do not have it',
      `leave ${prop} out`,
    );
  }
  for (const name of Object.keys(training.hyperparameters ?? {})) {
    if (!(name in ranges) || training.hyperparameters?.[name as never] === undefined) continue;
    refuse(
      `ranges.${name}`,
      'also among the hyperparameters of training',
      'it in one place',
      'leave out one of the two',
    );
  }
}

/** What is more than SageMaker takes of an account that has not asked for more. */
export function beyondQuotas({ maxJobs = 0, maxParallelJobs = 1 }: TuningProps): string[] {
  const ask = 'ask AWS for more (Service Quotas, Amazon SageMaker)';
  return [
    ...(maxJobs > QUOTA_JOBS ? [`maxJobs is ${maxJobs}, and by default SageMaker takes ${QUOTA_JOBS}: ${ask}`] : []),
    ...(maxParallelJobs > QUOTA_PARALLEL_JOBS
      ? [`maxParallelJobs is ${maxParallelJobs}, and by default SageMaker takes ${QUOTA_PARALLEL_JOBS}: ${ask}`]
      : []),
  ];
}

/**
 * What is wrong with a tuning, whatever its jobs run.
 *
 * @param where the step and its construct path
 * @param emitted the metrics of its jobs
 */
export function checkTuning(where: string, props: TuningProps, emitted: readonly string[]): Finding[] {
  return refusals(where, (refuse) => {
    checkRanges(props.ranges, refuse);
    checkStrategy(props, refuse);
    checkLimits(props, refuse);
    checkObjective(props, emitted, refuse);
    checkWarmStart(props, refuse);
    checkInstances(props, refuse);
    checkTrainingOfTuning(props, refuse);
    checkBudget(props, refuse);
  });
}
