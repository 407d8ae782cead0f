// What a tuning may cost: the most that its instances can, beside what it was given.
import { Parameter, type Text } from '../../pipeline';
import { type Refuse, secondsOf } from '../checks/checks';
import { knownText } from '../checks/known-text';
import { DEFAULT_INSTANCE_TYPE, DEFAULT_MAX_RUNTIME } from '../training/training-settings';
import { combinations } from './hyperparameter-range';
import { listedPrice, PRICED_MONTH, PRICED_REGION } from './instance-prices';
import { DEFAULT_MAX_JOBS, type TuningProps } from './tuning-props';

/** How many jobs a tuning runs at most. */
export function jobsOf({ strategy, ranges, maxJobs }: TuningProps): number {
  return strategy === 'Grid' ? combinations(ranges) : (maxJobs ?? DEFAULT_MAX_JOBS);
}

/** The instance types that a text may be: of a parameter those that may be chosen, or its default. */
function typesIn(type: Text): readonly (string | undefined)[] {
  const choices = type instanceof Parameter ? (type.toDefinition().EnumValues as string[] | undefined) : undefined;
  return choices ?? [knownText(type)];
}

/** The price of the dearest of the instance types. */
function priceOf(props: TuningProps): { price: number } | { unknown: string } {
  if (props.pricePerHour !== undefined) return { price: props.pricePerHour };
  const { instanceType = DEFAULT_INSTANCE_TYPE } = props.training;
  const types = [instanceType, ...(props.fallbackInstanceTypes ?? [])].flatMap(typesIn);
  const prices = types.map((type) => (type === undefined ? undefined : listedPrice(type)));
  const unlisted = prices.indexOf(undefined);
  if (unlisted >= 0) return { unknown: types[unlisted] ?? 'an instance type that is chosen at the start' };
  return { price: Math.max(...(prices as number[])) };
}

const dollars = (amount: number) => `$${amount.toFixed(2)}`;

/** What would fit the budget: fewer jobs, shorter ones, or a lower price. */
function fits(props: TuningProps, { jobs, hours, hourly }: { jobs: number; hours: number; hourly: number }): string {
  const { maxCost = 0, strategy, training } = props;
  const fewer = Math.floor(maxCost / (hours * hourly));
  const minutes = Math.floor((60 * maxCost) / (jobs * hourly));
  const ways = [
    ...(fewer >= 1
      ? [strategy === 'Grid' ? `list values of up to ${fewer} combinations` : `set maxJobs to ${fewer}`]
      : []),
    ...(minutes >= 1 ? [`set maxRuntime of training to ${minutes} minutes`] : []),
    training.spot
      ? 'set pricePerHour to what spot capacity costs you'
      : 'set spot, which is up to 90 % cheaper, and pricePerHour to what it costs you',
    'choose a smaller instance type',
  ];
  return `${ways.join(', or ')}; or raise maxCost`;
}

/**
 * Refuses what can cost more than `maxCost`: all jobs, each for its whole `maxRuntime`, or all that run at a time for
 * `maxTotalRuntime`, whichever is less. Volumes, and jobs that are tried again, are not counted.
 */
export function checkBudget(props: TuningProps, refuse: Refuse): void {
  const { maxCost, pricePerHour, maxTotalRuntime, maxParallelJobs = 1, training } = props;
  const amount = (prop: string, value: number | undefined) => {
    if (value === undefined || (Number.isFinite(value) && value > 0)) return true;
    refuse(prop, value, 'USD, more than 0', 'give e.g. 100');
    return false;
  };
  const sound = [amount('maxCost', maxCost), amount('pricePerHour', pricePerHour)].every(Boolean);
  const runtime = secondsOf(training.maxRuntime ?? DEFAULT_MAX_RUNTIME);
  if (!sound || maxCost === undefined || runtime === undefined) return;
  const found = priceOf(props);
  if ('unknown' in found) {
    const fix = 'set it to the USD that an hour costs: https://aws.amazon.com/sagemaker/ai/pricing/';
    refuse(
      'pricePerHour',
      `left out, with maxCost and ${found.unknown}`,
      'it for types whose price is not known here',
      fix,
    );
    return;
  }
  const jobs = jobsOf(props);
  const hours = runtime / 3600;
  const hourly = found.price * (training.instanceCount ?? 1);
  const total = maxTotalRuntime && secondsOf(maxTotalRuntime);
  const billed = Math.min(
    jobs * hours,
    total === undefined ? Number.POSITIVE_INFINITY : (maxParallelJobs * total) / 3600,
  );
  const bound = billed * hourly;
  if (bound <= maxCost) return;
  const source = pricePerHour === undefined ? ` in ${PRICED_REGION}, ${PRICED_MONTH}` : '';
  refuse(
    'maxCost',
    dollars(maxCost),
    `at least ${dollars(bound)}: ${Number(billed.toFixed(2))} hours in ${jobs} jobs at ${dollars(hourly)} an hour${source}`,
    fits(props, { jobs, hours, hourly }),
  );
}
