// What of a tuning does not suit Scanline's own trainer: ranges beyond its hyperparameters' limits, epochs that are never reached.
import { resolveHyperparameters, SPECS } from '../../../training/hyperparameters';
import type { Finding } from '../../pipeline';
import { type Refuse, refusals } from '../checks/checks';
import { knownValue, networkOf, type TrainingHyperparameters } from '../training/byoc-training';
import { boundsOf, type CategoricalValue, type HyperparameterRange } from './hyperparameter-range';
import type { TunedImage, TuningProps } from './tuning-props';

/** The networks that a tuning trains: those that it tries, or the one that is given; undefined where the pipeline's start decides. */
export function networksOf(
  { ranges }: TuningProps,
  hyperparameters: TunedImage['hyperparameters'],
): readonly unknown[] {
  const tried = ranges.model_name;
  return tried?.type === 'categorical' ? tried.values : [networkOf(hyperparameters)];
}

/** The same, of a parameter of the pipeline its default. */
function modelsOf(hyperparameters: TrainingHyperparameters | undefined, ranges: TuningProps['ranges']): unknown[] {
  const tried = ranges.model_name;
  if (tried?.type === 'categorical') return [...tried.values];
  return [knownValue(hyperparameters?.model_name) ?? SPECS.get('model_name')?.default];
}

/** What ranges of numbers are allowed of a hyperparameter, which has a type of its own. */
function checkType(name: string, range: HyperparameterRange, refuse: Refuse): void {
  const spec = SPECS.get(name);
  if (spec === undefined || range.type === 'categorical') return;
  if (spec.type === 'float' || (spec.type === 'integer' && range.type === 'integer')) return;
  const other = spec.type === 'integer' ? 'integer(min, max)' : 'categorical([...])';
  refuse(`ranges.${name}`, range.type, `what suits ${spec.type}: ${other}`, `use ${other}`);
}

/** Each bound of each range, with each network, is read as the trainer reads it. */
function checkBounds({ ranges }: TuningProps, hyperparameters: TrainingHyperparameters | undefined): string[] {
  const defects = modelsOf(hyperparameters, ranges).flatMap((model) =>
    Object.entries(ranges).flatMap(([name, range]) =>
      boundsOf(range).flatMap((value) => {
        const given = new Map([['model_name', { value: model, from: 'hyperparameters' }]]);
        given.set(name, { value, from: `ranges.${name}` });
        return resolveHyperparameters(given).defects;
      }),
    ),
  );
  return [...new Set(defects)];
}

function checkEpochs(props: TuningProps, hyperparameters: TrainingHyperparameters | undefined, refuse: Refuse): void {
  const { strategy, maxResource, ranges } = props;
  if (strategy !== 'Hyperband' || maxResource === undefined || 'num_epochs' in ranges) return;
  const epochs = knownValue(hyperparameters?.num_epochs) ?? SPECS.get('num_epochs')?.default;
  if (typeof epochs !== 'number' || epochs >= maxResource) return;
  refuse(
    'maxResource',
    maxResource,
    `up to num_epochs, ${epochs}`,
    `set num_epochs to ${maxResource}: the job ends after it`,
  );
}

/** What is wrong with the ranges for Scanline's trainer, all at once. */
export function checkForTrainer(
  where: string,
  props: TuningProps,
  hyperparameters: TrainingHyperparameters | undefined,
): Finding[] {
  const bounds = checkBounds(props, hyperparameters).map((defect) => ({
    where,
    problem: `${defect}.`,
    fix: '`scanline train --help` lists all hyperparameters with what is allowed.',
  }));
  const others = refusals(where, (refuse) => {
    for (const [name, range] of Object.entries(props.ranges)) checkType(name, range, refuse);
    checkEpochs(props, hyperparameters, refuse);
  });
  return [...bounds, ...others];
}

/** The hyperparameters of the job that needs most memory: each number of a range at its greatest. */
export function greatest(
  { ranges }: TuningProps,
  hyperparameters: TrainingHyperparameters = {},
): TrainingHyperparameters {
  const size = (value: CategoricalValue) => (Array.isArray(value) ? Math.max(...value) : Number(value));
  const tried = Object.entries(ranges).map(([name, range]) => {
    const bounds = boundsOf(range);
    const numbers = bounds.filter((value) => Number.isFinite(size(value)));
    return [name, numbers.length > 0 ? numbers.reduce((a, b) => (size(b) > size(a) ? b : a)) : bounds[0]];
  });
  return { ...hyperparameters, ...Object.fromEntries(tried) };
}
