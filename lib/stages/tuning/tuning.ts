// The tuning stage: many training jobs with hyperparameters that SageMaker chooses, and the best of their models.
import type { TrainingInstanceType } from '@aws-sdk/client-sagemaker';
import { Annotations, Stack, Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { METRICS, type TaskName } from '../../../training/hyperparameters';
import { type Expression, type Finding, type Text, type TuningArguments, TuningStep } from '../../pipeline';
import type { ByocImage } from '../byoc-image';
import { hasLocalDisks } from '../checks/local-disks';
import { whereOf } from '../pipeline-stage';
import { byocWork, checkByoc, taskOfNetworks, warnOfMemory } from '../training/byoc-training';
import { checkScript, Script } from '../training/script-mode-training';
import type { TrainingWork } from '../training/training-arguments';
import {
  DEFAULT_INSTANCE_TYPE,
  DEFAULT_VOLUME_SIZE,
  RETRY_ON_CAPACITY,
  type TrainingSettings,
} from '../training/training-settings';
import { type TrainedModel, TrainingJobStage } from '../training/training-stage';
import { type CategoricalValue, rangeArguments } from './hyperparameter-range';
import { PRICED_REGION } from './instance-prices';
import { objectiveType } from './objective';
import { checkForTrainer, greatest, networksOf } from './trainer-checks';
import { beyondQuotas, checkTuning } from './tuning-checks';
import { DEFAULT_MAX_JOBS, type TunedImage, type TunedScript, type TuningProps } from './tuning-props';

type TuningConfig = NonNullable<TuningArguments['HyperParameterTuningJobConfig']>;
type TuningDefinition = NonNullable<TuningArguments['TrainingJobDefinition']>;

function isScript(training: TuningProps['training']): training is TunedScript {
  return 'entryPoint' in training;
}

/** When the tuning ends before it has run all its jobs. */
function completionCriteria(props: TuningProps): TuningConfig['TuningJobCompletionCriteria'] {
  const { targetObjective, maxJobsWithoutImprovement: most, completeOnConvergence } = props;
  if (targetObjective === undefined && most === undefined && !completeOnConvergence) return undefined;
  return {
    ...(targetObjective !== undefined && { TargetObjectiveMetricValue: targetObjective }),
    ...(most !== undefined && { BestObjectiveNotImproving: { MaxNumberOfTrainingJobsNotImproving: most } }),
    ...(completeOnConvergence && { ConvergenceDetected: { CompleteOnConvergence: 'Enabled' } }),
  };
}

function tuningConfig(props: TuningProps, encodeValue: (value: CategoricalValue) => string): TuningConfig {
  const { strategy = 'Bayesian', minResource, maxResource, maxTotalRuntime, seed } = props;
  // a grid has as many jobs as it has combinations
  const maxJobs = strategy === 'Grid' ? undefined : (props.maxJobs ?? DEFAULT_MAX_JOBS);
  const completion = completionCriteria(props);
  return {
    Strategy: strategy,
    ...(strategy === 'Hyperband' && {
      StrategyConfig: {
        HyperbandStrategyConfig: { MinResource: minResource as number, MaxResource: maxResource as number },
      },
    }),
    HyperParameterTuningJobObjective: { Type: objectiveType(props) ?? 'Minimize', MetricName: props.objective },
    ResourceLimits: {
      ...(maxJobs !== undefined && { MaxNumberOfTrainingJobs: maxJobs }),
      MaxParallelTrainingJobs: props.maxParallelJobs ?? 1,
      ...(maxTotalRuntime && { MaxRuntimeInSeconds: maxTotalRuntime.toSeconds() }),
    },
    ParameterRanges: rangeArguments(props.ranges, encodeValue),
    TrainingJobEarlyStoppingType: props.earlyStopping ?? 'Off',
    ...(completion && { TuningJobCompletionCriteria: completion }),
    ...(seed !== undefined && { RandomSeed: seed }),
  };
}

/** The service's own list: it takes the first type of which there is capacity. */
function instanceList({
  training,
  fallbackInstanceTypes = [],
}: TuningProps): Pick<TuningDefinition, 'HyperParameterTuningResourceConfig'> {
  const { instanceType = DEFAULT_INSTANCE_TYPE, instanceCount = 1, volumeSize = DEFAULT_VOLUME_SIZE } = training;
  const { volumeKey } = training;
  return {
    HyperParameterTuningResourceConfig: {
      AllocationStrategy: 'Prioritized',
      InstanceConfigs: [instanceType, ...fallbackInstanceTypes].map((type) => ({
        InstanceType: type as TrainingInstanceType,
        InstanceCount: instanceCount,
        VolumeSizeInGB: volumeSize,
      })),
      ...(volumeKey && !hasLocalDisks(instanceType) && { VolumeKmsKeyId: volumeKey.keyArn }),
    },
  };
}

/** What jobs run that are checked: an image with hyperparameters, or a script. */
interface Prepared {
  readonly image: ByocImage;
  readonly settings: TrainingSettings;
  readonly work: TrainingWork;
  readonly task?: TaskName | undefined;
  /** How a value of a categorical range becomes the text that the job reads. */
  readonly encodeValue: (value: CategoricalValue) => string;
}

/**
 * Tunes what a training stage trains: SageMaker starts training jobs with hyperparameters from the ranges, and learns from their
 * objective which to try next. The model of the best job is the stage's `model`.
 *
 * With spot instances each job's checkpoints are kept: Scanline's trainer, in a folder that is named after the job.
 */
export class Tuning extends TrainingJobStage implements TrainedModel {
  /** The step of the pipeline. */
  readonly step: TuningStep;
  readonly image: ByocImage;
  /** What the networks are for: of Scanline's own image, where it is known at synth. */
  readonly task?: TaskName;
  /** S3 URI of the best job's model.tar.gz. */
  readonly model: Expression<string>;
  private readonly output: Text;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: TuningProps) {
    super(scope, id);
    const { image, settings, work, encodeValue, task } = this.prepare(props);
    this.image = image;
    if (task) this.task = task;
    this.output = settings.output;
    const { HyperParameters, Tags, ResourceConfig, ...job } = this.jobArguments(settings, work);
    const resources = props.fallbackInstanceTypes ? instanceList(props) : { ResourceConfig };
    const { warmStartFrom, warmStartType = 'IdenticalDataAndAlgorithm' } = props;
    this.step = new TuningStep(id, {
      arguments: {
        HyperParameterTuningJobConfig: tuningConfig(props, encodeValue),
        TrainingJobDefinition: { ...job, ...resources, StaticHyperParameters: HyperParameters } as TuningDefinition,
        ...(warmStartFrom && {
          WarmStartConfig: {
            ParentHyperParameterTuningJobs: warmStartFrom.map((name) => ({ HyperParameterTuningJobName: name })),
            WarmStartType: warmStartType,
          },
        }),
        ...(Tags && { Tags }),
      },
      retry: settings.retry ?? RETRY_ON_CAPACITY,
    });
    this.model = this.topModel(0);
    this.warn(props);
  }

  /**
   * S3 URI of the model of one of the best jobs.
   *
   * @param rank 0 is the best job; SageMaker keeps the 50 best
   */
  topModel(rank: number): Expression<string> {
    return this.step.topModelBelow(rank, this.output);
  }

  private prepare(props: TuningProps): Prepared {
    return isScript(props.training)
      ? this.prepareScript(props, props.training)
      : this.prepareImage(props, props.training);
  }

  private prepareImage(props: TuningProps, training: TunedImage): Prepared {
    const where = whereOf(this);
    const networks = networksOf(props, training.hyperparameters);
    const work = byocWork(training, networks);
    const emitted = Object.keys(training.metricDefinitions ?? work.metricDefinitions ?? {});
    this.refuse(training, [
      ...checkByoc(this.node.id, where, training),
      ...checkTuning(where, props, emitted),
      ...(training.image.isScanline ? checkForTrainer(where, props, training.hyperparameters) : []),
    ]);
    warnOfMemory(this, { ...training, hyperparameters: greatest(props, training.hyperparameters) });
    return {
      image: training.image,
      settings: training,
      work,
      task: training.image.isScanline ? taskOfNetworks(networks) : undefined,
      encodeValue: String,
    };
  }

  private prepareScript(props: TuningProps, training: TunedScript): Prepared {
    const where = whereOf(this);
    const checked = checkScript(this, where, training);
    const own: Finding[] = checkTuning(where, props, Object.keys(training.metricDefinitions ?? {}));
    this.refuse(training, [...checked.findings, ...own]);
    const script = new Script(this, training, checked);
    // as AWS's Python SDK does it for its framework images
    return { image: script.image, settings: script.settings, work: script.work, encodeValue: JSON.stringify };
  }

  private warn(props: TuningProps): void {
    const { objective, maxCost, pricePerHour } = props;
    if (METRICS.some(({ name }) => name === objective) && objective.startsWith('test_')) {
      Annotations.of(this).addWarningV2(
        'scanline:tuningOnTest',
        `the objective is ${objective}: a model that was chosen on the test images does better on them than on others. ` +
          `Choose ${objective.replace('test_', 'valid_')}, and keep the test images for the evaluation.`,
      );
    }
    for (const quota of beyondQuotas(props)) Annotations.of(this).addWarningV2('scanline:tuningQuota', quota);
    const { region } = Stack.of(this);
    if (
      maxCost !== undefined &&
      pricePerHour === undefined &&
      !Token.isUnresolved(region) &&
      region !== PRICED_REGION
    ) {
      Annotations.of(this).addWarningV2(
        'scanline:tuningPrice',
        `maxCost was checked with the prices of ${PRICED_REGION}, and the stack goes to ${region}: set pricePerHour.`,
      );
    }
  }
}
