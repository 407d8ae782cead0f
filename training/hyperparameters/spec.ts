// What a hyperparameter is declared by.

/** Kinds of networks, by which hyperparameters are for which. */
export type ModelFamily = 'densenet' | 'resnet' | 'vit' | 'vit_conv' | 'segresnet' | 'unet' | 'swinunetr';

interface Common<Value> {
  readonly name: string;
  /** The section that it stands in in a YAML file, e.g. data.batch_size. */
  readonly section: 'model' | 'data' | 'training' | 'tracking';
  readonly description: string;
  /** The families of networks that it concerns. @default all */
  readonly models?: readonly ModelFamily[];
  /** What it is by default for some families, where that is not `default`. */
  readonly modelDefaults?: Readonly<Partial<Record<ModelFamily, Value>>>;
  /** Another name of it with some families; with others that is the name of something else. */
  readonly alias?: { readonly name: string; readonly models: readonly ModelFamily[] };
}

export interface IntegerSpec extends Common<number> {
  readonly type: 'integer';
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

export interface FloatSpec extends Common<number> {
  readonly type: 'float';
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export interface BooleanSpec extends Common<boolean> {
  readonly type: 'boolean';
  readonly default: boolean;
}

export interface EnumSpec extends Common<string> {
  readonly type: 'enum';
  readonly values: readonly string[];
  readonly default: string;
}

/** Whole numbers separated by commas, as `256` or `224,192`. */
export interface IntegersSpec extends Common<readonly number[]> {
  readonly type: 'integers';
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
  /** The largest for some families, where that is not `max`. */
  readonly modelMax?: Readonly<Partial<Record<ModelFamily, number>>>;
  /** How many there may be. */
  readonly lengths: readonly [number, number];
}

/** `none`, `balanced`, or positive numbers separated by commas. */
export interface ClassWeightsSpec extends Common<'none'> {
  readonly type: 'class weights';
  readonly default: 'none';
}

/** Numbers separated by commas, as `1.5,1.5,2`. */
export interface NumbersSpec extends Common<readonly number[]> {
  readonly type: 'numbers';
  readonly default?: readonly number[];
  readonly min: number;
  readonly max: number;
  /** How many there are. */
  readonly length: number;
}

/** Text: a path, a name, an address. */
export interface TextSpec extends Common<string> {
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

/** The value for a family of networks where none is given. */
export function defaultOf(spec: HyperparameterSpec, family: ModelFamily): unknown {
  return spec.modelDefaults?.[family] ?? spec.default;
}
