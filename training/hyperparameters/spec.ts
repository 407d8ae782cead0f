// What a hyperparameter is declared by.

/** Kinds of networks, by which hyperparameters are for which. */
export type ModelFamily = 'densenet' | 'vit' | 'segresnet' | 'unet' | 'swinunetr';

interface Common {
  readonly name: string;
  /** The section that it stands in in a YAML file, e.g. data.batch_size. */
  readonly section: 'model' | 'data' | 'training' | 'tracking';
  readonly description: string;
  /** The families of networks that it concerns. @default all */
  readonly models?: readonly ModelFamily[];
}

export interface IntegerSpec extends Common {
  readonly type: 'integer';
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

export interface FloatSpec extends Common {
  readonly type: 'float';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export interface BooleanSpec extends Common {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface EnumSpec extends Common {
  readonly type: 'enum';
  readonly values: readonly string[];
  readonly default: string;
}

/** Whole numbers separated by commas, as `256` or `224,192`. */
export interface IntegersSpec extends Common {
  readonly type: 'integers';
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
  /** How many there may be. */
  readonly lengths: readonly [number, number];
}

/** `none`, `balanced`, or positive numbers separated by commas. */
export interface ClassWeightsSpec extends Common {
  readonly type: 'class weights';
  readonly default: 'none';
}

/** Numbers separated by commas, as `1.5,1.5,2`. */
export interface NumbersSpec extends Common {
  readonly type: 'numbers';
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
  /** How many there are. */
  readonly length: number;
}

/** Text: a path, a name, an address. */
export interface TextSpec extends Common {
  readonly type: 'text';
  readonly default: string;
  /** A regular expression for the whole of it. @default any text */
  readonly pattern?: string;
  /** What the pattern allows, in words. */
  readonly allowed: string;
}

export type HyperparameterSpec =
  | IntegerSpec
  | FloatSpec
  | BooleanSpec
  | EnumSpec
  | IntegersSpec
  | NumbersSpec
  | ClassWeightsSpec
  | TextSpec;
