// Every hyperparameter of the trainer. Pure data, for the trainer that reads them, the pipeline that passes them on, and the checker that
// refuses wrong ones before they cost money.
import { DATA_HYPERPARAMETERS } from './data';
import { MODEL_HYPERPARAMETERS } from './model';
import type { HyperparameterSpec } from './spec';
import { TRACKING_HYPERPARAMETERS } from './tracking';
import { TRAINING_HYPERPARAMETERS } from './training';
import { VOLUME_HYPERPARAMETERS } from './volumes';

export {
  DATA_HYPERPARAMETERS,
  MODEL_HYPERPARAMETERS,
  TRACKING_HYPERPARAMETERS,
  TRAINING_HYPERPARAMETERS,
  VOLUME_HYPERPARAMETERS,
};

/** Every hyperparameter: its name, type, range, default, the networks that it is for, and what it does. */
export const HYPERPARAMETERS = [
  ...MODEL_HYPERPARAMETERS,
  ...DATA_HYPERPARAMETERS,
  ...VOLUME_HYPERPARAMETERS,
  ...TRAINING_HYPERPARAMETERS,
  ...TRACKING_HYPERPARAMETERS,
] as const satisfies readonly HyperparameterSpec[];

type Specs = (typeof HYPERPARAMETERS)[number];

type ValueOf<Spec> = Spec extends { type: 'integer' }
  ? Spec extends { default: number }
    ? number
    : number | undefined
  : Spec extends { type: 'float' }
    ? number
    : Spec extends { type: 'boolean' }
      ? boolean
      : Spec extends { type: 'enum'; values: readonly (infer Value)[] }
        ? Value
        : Spec extends { type: 'integers' | 'numbers' }
          ? Spec extends { default: readonly number[] }
            ? readonly number[]
            : readonly number[] | undefined
          : Spec extends { type: 'text' }
            ? string
            : 'none' | 'balanced' | readonly number[];

/** The values of all hyperparameters, by name. */
export type Hyperparameters = { readonly [Spec in Specs as Spec['name']]: ValueOf<Spec> };

export type HyperparameterName = keyof Hyperparameters;
