// The training stage: our container, or anyone's, on the channels of a data set.
import { Annotations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import {
  CHANNEL_NAMES,
  type Hyperparameters,
  METRICS,
  type MetricSpec,
  metricRegex,
  resolveHyperparameters,
  SPECS,
  type TaskName,
  taskOf,
  WHOLE_CHANNELS,
} from '../../../training/hyperparameters';
import { Expression, type Finding, Parameter, type Text } from '../../pipeline';
import type { ByocImage } from '../byoc-image';
import { refusals } from '../checks/checks';
import { knownText, toText } from '../checks/known-text';
import { whereOf } from '../pipeline-stage';
import { memoryWarning } from './gpu-memory';
import type { TrainingWork } from './training-arguments';
import { isFileSystem, isS3 } from './training-channel';
import type { TrainingSettings } from './training-settings';
import { TrainingStage } from './training-stage';

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
    problem: problem.endsWith('?') ? problem : `${problem}.`,
    fix: '`scanline train --help` lists all hyperparameters with what is allowed.',
  }));
}

/** What is wrong with the channels for Scanline's trainer, which goes by their names and reads files. */
function checkChannels(where: string, { channels, inputMode }: ByocTrainingProps): Finding[] {
  const names = Object.keys(channels);
  const parts: readonly string[] = Object.values(CHANNEL_NAMES).flat();
  return refusals(where, (refuse) => {
    const unknown = names.filter((name) => !parts.includes(name) && !WHOLE_CHANNELS.includes(name));
    const fix = `rename it; what holds all parts is called ${WHOLE_CHANNELS[0]}`;
    for (const name of unknown)
      refuse(
        `channels.${name}`,
        'a name that the trainer does not read',
        [...parts, ...WHOLE_CHANNELS].join(', '),
        fix,
      );
    if (unknown.length === 0 && !names.some((name) => name === 'train' || WHOLE_CHANNELS.includes(name)))
      refuse(
        'channels',
        names.join(', ') || 'empty',
        'them with what is trained on',
        'add train, or data for all parts',
      );
    for (const [name, channel] of Object.entries(channels)) {
      if ((isS3(channel) ? (channel.inputMode ?? inputMode) : isFileSystem(channel) ? 'File' : inputMode) !== 'Pipe')
        continue;
      refuse(`channels.${name}`, 'with the input mode Pipe', 'File or FastFile: the trainer reads files', 'choose one');
    }
  });
}

/** What reports to the network, from which the job is cut off. */
function checkReports(where: string, { networkIsolation, hyperparameters = {} }: ByocTrainingProps): Finding[] {
  if (!networkIsolation) return [];
  const { use_wandb, mlflow_tracking_uri } = hyperparameters as TrainingHyperparameters;
  const fix = 'set networkIsolation to false, and vpc to a network that leads there and nowhere else';
  return refusals(where, (refuse) => {
    if (knownValue(use_wandb) === true)
      refuse('hyperparameters.use_wandb', 'true with networkIsolation', 'it with a network', fix);
    if (knownValue(mlflow_tracking_uri))
      refuse('hyperparameters.mlflow_tracking_uri', 'given with networkIsolation', 'it with a network', fix);
  });
}

/** What is wrong with the image, its hyperparameters and its channels, all at once. */
export function checkByoc(id: string, where: string, props: ByocTrainingProps): Finding[] {
  const { hyperparameters = {}, instanceCount = 1, image } = props;
  if (!image.isScanline) return [];
  const findings = [
    ...checkHyperparameters(where, hyperparameters, id),
    ...checkChannels(where, props),
    ...checkReports(where, props),
  ];
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

/** The network that is trained; undefined where the pipeline's start decides. */
export function networkOf(hyperparameters: TrainingHyperparameters | ForeignHyperparameters = {}): unknown {
  const { model_name: given = SPECS.get('model_name')?.default } = hyperparameters as TrainingHyperparameters;
  return given instanceof Expression ? undefined : given;
}

/** What a training is for, if all networks that it may train are for the same; undefined where that is not known at synth. */
export function taskOfNetworks(networks: readonly unknown[]): TaskName | undefined {
  const [task, ...others] = new Set(networks.map((name) => (typeof name === 'string' ? taskOf(name) : undefined)));
  return others.length === 0 ? task : undefined;
}

/** The metrics that Scanline's trainer prints: of images those of the test part only where a channel has it. */
function ownMetrics({ channels }: ByocTrainingProps, task: TaskName | undefined): Record<string, string> {
  const names = Object.keys(channels);
  // volumes may be listed by a dataset.json in any channel, those of the test part too
  const isTested = task !== 'classification' || names.some((name) => name === 'test' || WHOLE_CHANNELS.includes(name));
  const isPrinted = (metric: MetricSpec) =>
    (metric.task === undefined || task === undefined || metric.task === task) &&
    (isTested || !metric.name.startsWith('test_'));
  return Object.fromEntries(METRICS.filter(isPrinted).map(({ name }) => [name, metricRegex(name)]));
}

/**
 * What the job runs.
 *
 * @param networks that may be trained; Scanline's trainer prints the metrics of their task. Of what another image prints nothing is known:
 * it has the metrics that it is given alone
 */
export function byocWork(
  props: ByocTrainingProps,
  networks: readonly unknown[] = [networkOf(props.hyperparameters)],
): TrainingWork {
  const { image, hyperparameters = {} } = props;
  return {
    image: image.uri,
    hyperparameters: toTexts(hyperparameters),
    ...(image.isScanline && { metricDefinitions: ownMetrics(props, taskOfNetworks(networks)) }),
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
  /** What the network is for: of Scanline's own image, where it is known at synth. */
  readonly task?: TaskName;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: ByocTrainingProps) {
    super(scope, id);
    this.refuse(props, checkByoc(id, whereOf(this), props));
    this.image = props.image;
    const task = props.image.isScanline ? taskOfNetworks([networkOf(props.hyperparameters)]) : undefined;
    if (task) this.task = task;
    this.train(props, byocWork(props));
    warnOfMemory(this, props);
  }
}
