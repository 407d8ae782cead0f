// The training stage: our container, or anyone's, on the channels of a data set.
import { Annotations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type Hyperparameters, METRICS, metricRegex, resolveHyperparameters } from '../../../training/hyperparameters';
import { Expression, type Finding, Parameter, type Text } from '../../pipeline';
import type { ByocImage } from '../byoc-image';
import { knownText, toText } from '../checks/known-text';
import { memoryWarning } from './gpu-memory';
import type { TrainingWork } from './training-arguments';
import type { TrainingSettings } from './training-settings';
import { TrainingStage, whereOf } from './training-stage';

/** Scanline's hyperparameters; each may be a parameter of the pipeline. */
export type TrainingHyperparameters = {
  readonly [Name in keyof Hyperparameters]?:
    | Hyperparameters[Name]
    | Expression<string>
    | Expression<number>
    | Expression<boolean>;
};

/** Which image trains, on what, with which hyperparameters. */
export interface ByocTrainingProps extends TrainingSettings {
  /** Has the command `train`. */
  readonly image: ByocImage;
  /**
   * Of Scanline's own image they are checked at synth, and those that are not given are the trainer's own; of any other image they
   * are what its `train` takes, lists written as a,b. @default the trainer's
   */
  readonly hyperparameters?: TrainingHyperparameters | ForeignHyperparameters;
}

/** What the trainer of somebody else's image takes: nothing of it is known here. */
export type ForeignHyperparameters = Readonly<
  Record<string, string | number | boolean | readonly (string | number)[] | Expression>
>;

/** What is known of a hyperparameter at synth; of a parameter of the pipeline its default. */
export function knownValue(value: unknown): unknown {
  const given = value instanceof Parameter ? value.toDefinition().DefaultValue : value;
  return given instanceof Expression ? undefined : given;
}

function resolve(hyperparameters: TrainingHyperparameters | ForeignHyperparameters, from: string) {
  const known = Object.entries(hyperparameters).map(([name, value]) => [name, knownValue(value)] as const);
  const given = known.filter(([, value]) => value !== undefined);
  return resolveHyperparameters(new Map(given.map(([name, value]) => [name, { value, from }])));
}

/** What is wrong with hyperparameters of Scanline's trainer, all at once. @param from where they stand, for people */
export function checkHyperparameters(
  where: string,
  hyperparameters: TrainingHyperparameters | ForeignHyperparameters,
  from: string,
): Finding[] {
  return resolve(hyperparameters, from).defects.map((problem) => ({
    where,
    problem: `${problem}.`,
    fix: '`scanline train --help` lists all hyperparameters with what is allowed.',
  }));
}

/** What is wrong with the image and its hyperparameters, all at once. */
export function checkByoc(id: string, where: string, props: ByocTrainingProps): Finding[] {
  const { hyperparameters = {}, instanceCount = 1, image } = props;
  if (!image.isScanline) return [];
  const findings = checkHyperparameters(where, hyperparameters, id);
  if (instanceCount > 1) {
    findings.push({
      where,
      problem: `instanceCount is ${instanceCount}; Scanline's trainer runs on one instance.`,
      fix: 'set instanceCount to 1, and choose a larger instanceType for more speed.',
    });
  }
  return findings;
}

/** The hyperparameters with the defaults of those that are parameters of the pipeline; undefined where one is not known at synth. */
function knownHyperparameters(
  hyperparameters: TrainingHyperparameters | ForeignHyperparameters,
  from: string,
): Hyperparameters | undefined {
  if (Object.values(hyperparameters).some((value) => knownValue(value) === undefined)) return undefined;
  const { values, defects } = resolve(hyperparameters, from);
  return defects.length === 0 ? values : undefined;
}

/** Hyperparameters as SageMaker takes them: all as text, those that the pipeline fills in too. */
function toTexts(hyperparameters: TrainingHyperparameters | ForeignHyperparameters): Record<string, Text> {
  const given = Object.entries(hyperparameters).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => [name, value instanceof Expression ? toText(value) : String(value)]),
  );
}

/** What the job runs. */
export function byocWork({ image, hyperparameters = {} }: ByocTrainingProps): TrainingWork {
  return {
    image: image.uri,
    hyperparameters: toTexts(hyperparameters),
    metricDefinitions: Object.fromEntries(METRICS.map(({ name }) => [name, metricRegex(name)])),
  };
}

/** Warns where Scanline's trainer will not fit the instance's GPU memory. */
export function warnOfMemory(
  stage: Construct,
  { image, instanceType = 'ml.g5.xlarge', hyperparameters = {} }: ByocTrainingProps,
): void {
  if (!image.isScanline) return;
  const type = knownText(instanceType);
  const known = knownHyperparameters(hyperparameters, stage.node.id);
  const warning = type !== undefined && known && memoryWarning(type, known);
  if (warning) Annotations.of(stage).addWarningV2('scanline:gpuMemory', warning);
}

/** Trains in our container, or anyone's. */
export class ByocTraining extends TrainingStage {
  /** What trains, and serves what was trained. */
  readonly image: ByocImage;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: ByocTrainingProps) {
    super(scope, id);
    this.refuse(props, checkByoc(id, whereOf(this), props));
    this.image = props.image;
    this.train(props, byocWork(props));
    warnOfMemory(this, props);
  }
}
