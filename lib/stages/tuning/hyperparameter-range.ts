// What a tuning searches: ranges of hyperparameters, with their types and scales.
import type { Refuse } from '../checks/checks';

/**
 * How a range is searched: Logarithmic where an order of magnitude counts, above 0; ReverseLogarithmic where the distance from 1
 * does, from 0 to below 1. https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
 */
export type Scaling = 'Auto' | 'Linear' | 'Logarithmic' | 'ReverseLogarithmic';

/** How numbers are spread over a range. */
export interface ScalingOptions<Scale extends Scaling = Scaling> {
  /** @default Auto: SageMaker chooses */
  readonly scaling?: Scale;
}

/** Numbers that are tried. */
export interface NumberRange {
  /** Whole numbers, or any. */
  readonly type: 'continuous' | 'integer';
  /** The least, tried too. */
  readonly min: number;
  /** The greatest, tried too. */
  readonly max: number;
  /** How numbers are spread over the range. */
  readonly scaling: Scaling;
}

/** One of the values; several numbers are one value, as an image size of [224, 192]. */
export type CategoricalValue = string | number | boolean | readonly number[];

/** Values that are tried. */
export interface CategoricalRange {
  /** As opposed to a range of numbers. */
  readonly type: 'categorical';
  /** Those that are tried, and no others. */
  readonly values: readonly CategoricalValue[];
}

/** What a hyperparameter is searched in. */
export type HyperparameterRange = NumberRange | CategoricalRange;

/** Any number from the least to the most. */
export function continuous(min: number, max: number, { scaling = 'Auto' }: ScalingOptions = {}): NumberRange {
  return { type: 'continuous', min, max, scaling };
}

/** Any whole number from the least to the most. */
export function integer(
  min: number,
  max: number,
  { scaling = 'Auto' }: ScalingOptions<Exclude<Scaling, 'ReverseLogarithmic'>> = {},
): NumberRange {
  return { type: 'integer', min, max, scaling };
}

/** One of the values, between which there is no order. */
export function categorical(values: readonly CategoricalValue[]): CategoricalRange {
  return { type: 'categorical', values };
}

/** Of all hyperparameters together, and the values of a categorical one. */
const MOST_RANGES = 30;
const MOST_VALUES = 30;

const LONGEST_VALUE = 256;

function checkNumbers(prop: string, { type, min, max, scaling }: NumberRange, refuse: Refuse): void {
  const given = `from ${min} to ${max}`;
  if (!(Number.isFinite(min) && Number.isFinite(max) && min < max)) {
    const fix = min === max ? 'give the value among the hyperparameters of training' : 'put the lesser number first';
    refuse(prop, given, 'from one number to a greater one', fix);
    return;
  }
  if (type === 'integer' && !(Number.isInteger(min) && Number.isInteger(max))) {
    refuse(prop, given, 'with integer whole numbers', 'give whole numbers, or use continuous');
  }
  const scales = ['Auto', 'Linear', 'Logarithmic', ...(type === 'continuous' ? ['ReverseLogarithmic'] : [])];
  if (!scales.includes(scaling)) {
    refuse(`${prop}.scaling`, scaling, `with ${type} ${scales.join(', ')}`, 'choose one of these');
  } else if (scaling === 'Logarithmic' && min <= 0) {
    refuse(
      `${prop}.scaling`,
      `Logarithmic ${given}`,
      'it above 0',
      'let the range begin above 0, or set scaling to Linear',
    );
  } else if (scaling === 'ReverseLogarithmic' && (min < 0 || max >= 1)) {
    const fix = 'let the range lie there, or set scaling to Linear';
    refuse(`${prop}.scaling`, `ReverseLogarithmic ${given}`, 'it from 0 to below 1', fix);
  }
}

function checkValues(prop: string, { values }: CategoricalRange, refuse: Refuse): void {
  const texts = values.map(String);
  if (texts.length < 1 || texts.length > MOST_VALUES) {
    refuse(prop, `${texts.length} values`, `1 to ${MOST_VALUES}`, 'give that many');
  }
  const twice = texts.find((text, index) => texts.indexOf(text) !== index);
  if (twice !== undefined) refuse(prop, `a list with ${twice} twice`, 'each value once', 'leave one of them out');
  const long = texts.find((text) => text.length > LONGEST_VALUE);
  if (long !== undefined) {
    refuse(prop, `a value of ${long.length} characters`, `up to ${LONGEST_VALUE}`, 'give it a shorter name');
  }
}

/**
 * What SageMaker takes of ranges, whatever they are of.
 * https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ParameterRanges.html and
 * https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
 */
export function checkRanges(ranges: Readonly<Record<string, HyperparameterRange>>, refuse: Refuse): void {
  const all = Object.entries(ranges);
  if (all.length < 1 || all.length > MOST_RANGES) {
    const fix = 'name those that matter most, and give the others among the hyperparameters of training';
    refuse('ranges', all.length === 0 ? 'empty' : `${all.length} of them`, `1 to ${MOST_RANGES}`, fix);
  }
  for (const [name, range] of all) {
    const prop = `ranges.${name}`;
    if (name.length > LONGEST_VALUE) {
      refuse(prop, `a name of ${name.length} characters`, `up to ${LONGEST_VALUE}`, 'use a shorter name');
    }
    if (range.type === 'categorical') checkValues(prop, range, refuse);
    else checkNumbers(prop, range, refuse);
  }
}

/** The values that bound a range: what holds for them holds for those between. */
export function boundsOf(range: HyperparameterRange): readonly CategoricalValue[] {
  return range.type === 'categorical' ? range.values : [range.min, range.max];
}

/** How many combinations a grid of the ranges has. */
export function combinations(ranges: Readonly<Record<string, HyperparameterRange>>): number {
  return Object.values(ranges).reduce((product, range) => product * boundsOf(range).length, 1);
}

/** @param encode how a value becomes a text */
export function rangeArguments(
  ranges: Readonly<Record<string, HyperparameterRange>>,
  encode: (value: CategoricalValue) => string,
) {
  const all = Object.entries(ranges);
  const numbers = (type: NumberRange['type']) =>
    all.flatMap(([Name, range]) =>
      range.type === type
        ? [{ Name, MinValue: String(range.min), MaxValue: String(range.max), ScalingType: range.scaling }]
        : [],
    );
  const categories = all.flatMap(([Name, range]) =>
    range.type === 'categorical' ? [{ Name, Values: range.values.map(encode) }] : [],
  );
  return {
    IntegerParameterRanges: numbers('integer'),
    ContinuousParameterRanges: numbers('continuous'),
    CategoricalParameterRanges: categories,
  };
}
