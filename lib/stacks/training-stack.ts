// A stack ready to deploy: data in a bucket, and a pipeline that splits, trains, evaluates, gates and registers.
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import { type IRole, Role } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import type { TaskName } from '../../training/hyperparameters';
import { ExecutionVariables, join, ParameterFloat, ParameterString } from '../pipeline';
import { JobRole, PipelineRole } from '../stages/access/execution-role';
import { ByocImage } from '../stages/byoc-image';
import { hasLocalDisks } from '../stages/checks/local-disks';
import { Dataset } from '../stages/dataset';
import { Evaluation } from '../stages/evaluation';
import { QualityGate } from '../stages/quality-gate';
import { Registration } from '../stages/registry/registration';
import { SageMakerPipeline } from '../stages/sagemaker-pipeline';
import { Split } from '../stages/split';
import { Tracking, type TrackingProps } from '../stages/tracking';
import { ByocTraining, type TrainingHyperparameters } from '../stages/training/byoc-training';
import { checkStack } from './training-checks';
import { withContext } from './training-context';
import { chooseTask } from './training-task';

/** What is trained, and from which model on it is registered. */
export interface TrainingStackProps extends StackProps {
  /**
   * What is trained: a classifier of images, or a segmenter of volumes.
   * @default that of `hyperparameters.model_name`; classification without one
   */
  readonly task?: TaskName;
  /** Name of the pipeline and of the model package group. @default scanline-training */
  readonly pipelineName?: string;
  /** Scanline's image as `npx scanline image push` printed it, with its digest. @default it is built and pushed by `cdk deploy` */
  readonly imageUri?: string;
  /** @default the trainer's; for segmentation the network segresnet */
  readonly hyperparameters?: TrainingHyperparameters;
  /** What must stay together in the split: pattern:REGEX of the name of the file or subject, folder, or csv:FILE:COLUMN. @default each image or subject for itself */
  readonly groupBy?: string;
  /** Shares of train, validation and test. @default [0.7, 0.15, 0.15] */
  readonly fractions?: readonly [number, number, number];
  /** Classification: the least accuracy on the held-out images that is registered; may be chosen at each start. @default 0.9 */
  readonly leastAccuracy?: number;
  /** Segmentation: the least mean Dice on the held-out volumes that is registered; may be chosen at each start. @default 0.7 */
  readonly leastDice?: number;
  /** May be chosen at each start. @default ml.g5.xlarge */
  readonly trainingInstanceType?: string;
  /**
   * An existing role that SageMaker runs the jobs and, unless there is a `pipelineRole`, the pipeline with. It is not changed:
   * the bucket and the key that are made here let it in, the image and the rest must be allowed to it. @default one is made
   */
  readonly role?: IRole;
  /** An existing role that starts the jobs. @default `role`; without one, a role is made */
  readonly pipelineRole?: IRole;
  /** An existing bucket for data and models. @default one is made */
  readonly bucket?: IBucket;
  /**
   * An existing key for all that is kept: images, models, outputs, volumes, registered versions.
   * @default that of the existing bucket, where known; else one is made
   */
  readonly key?: IKey;
  /**
   * Where the training reports to: TensorBoard's files, MLflow, Weights & Biases. For the last two it is let out of its network
   * isolation; give `vpc` too, so that it comes no further than there. @default nowhere
   */
  readonly tracking?: TrainingTracking;
  /** The network that the training runs in, in its private subnets. @default none; it is cut off from all, unless `tracking` needs one */
  readonly vpc?: IVpc;
}

/** What is tracked, as `Tracking` takes it; bucket and key are the stack's. */
export type TrainingTracking = Omit<TrackingProps, 'bucket' | 'key'>;

/**
 * A bucket, roles, the image, and a pipeline that splits, trains, evaluates, gates and registers: images into classes, or voxels of
 * volumes. What the gate asks for is the accuracy, or the mean Dice.
 *
 * Props that are not given are taken from the context: `task`, `pipelineName`, `trainingInstanceType`, `groupBy`, `leastAccuracy`,
 * `leastDice`; and of `tracking` `mlflowServerArn`, `mlflowServerName`, `mlflowExperiment`, `tensorBoardUri`, `wandbSecretArn`,
 * `wandbProject`; e.g. `cdk deploy -c task=segmentation -c pipelineName=tissue -c trainingInstanceType=ml.g5.2xlarge`.
 */
export class TrainingStack extends Stack {
  /** Where the images or volumes lie. */
  readonly dataset: Dataset;
  /** What `cdk deploy` makes of the steps. */
  readonly pipeline: SageMakerPipeline;

  /** @throws PipelineError naming all that is wrong with the props or the context, and where they contradict each other */
  constructor(scope: Construct, id: string, given: TrainingStackProps = {}) {
    super(scope, id, given);
    const props = withContext(this, given);
    const { task, hyperparameters, gate: asked } = chooseTask(this, props, checkStack(this, props));
    const { pipelineName = 'scanline-training' } = props;
    this.dataset = new Dataset(this, 'Dataset', {
      ...(props.bucket && { bucket: props.bucket }),
      ...(props.key && { key: props.key }),
    });
    const { bucket, key } = this.dataset;
    const image =
      props.imageUri === undefined
        ? ByocImage.scanline(this, 'Image')
        : ByocImage.scanlineFromUri(this, 'Image', props.imageUri);
    const role =
      this.existing('GivenRole', props.role) ?? new JobRole(this, 'JobRole', { bucket, key, images: [image] });

    const inputData = new ParameterString('InputData', { defaultValue: this.dataset.uri });
    const instanceType = new ParameterString('TrainingInstanceType', {
      defaultValue: props.trainingInstanceType ?? 'ml.g5.xlarge',
    });
    const least = new ParameterFloat(asked.parameter, { defaultValue: asked.least });
    const approval = new ParameterString('ApprovalStatus', {
      defaultValue: 'PendingManualApproval',
      enumValues: ['Approved', 'PendingManualApproval', 'Rejected'],
    });
    const execution = join('/', this.dataset.uriOf('pipelines'), ExecutionVariables.pipelineExecutionId);

    const split = new Split(this, 'Split', {
      data: inputData,
      output: join('/', execution, 'split'),
      image,
      role,
      key,
      ...(props.groupBy !== undefined && { groupBy: props.groupBy }),
      ...(props.fractions && { fractions: props.fractions }),
    });
    const tracking = props.tracking && new Tracking(this, 'Tracking', { ...props.tracking, bucket, key });
    const volumeKey = hasLocalDisks(instanceType) ? {} : { volumeKey: key };
    const training = new ByocTraining(this, 'Train', {
      ...volumeKey,
      channels: { train: split.train, validation: split.validation },
      output: join('/', execution, 'training'),
      image,
      role,
      instanceType,
      outputKey: key,
      networkIsolation: tracking === undefined || tracking.networked.length === 0,
      ...(tracking && { tracking }),
      ...(props.vpc && { vpc: props.vpc }),
      ...(hyperparameters && { hyperparameters }),
    });
    const evaluation = new Evaluation(this, 'Evaluate', {
      training,
      test: split.test,
      output: join('/', execution, 'evaluation'),
      role,
      key,
    });
    const registration = new Registration(this, 'Register', {
      training,
      evaluation,
      task,
      role,
      key,
      groupName: pipelineName,
      approvalStatus: approval,
    });
    const gate = new QualityGate(this, 'Gate', {
      metric: evaluation[asked.metric],
      metricName: asked.metricName,
      atLeast: least,
      ifSteps: [registration.step, registration.modelStep],
    });
    const steps = [split.step, training.step, evaluation.step, gate.step];
    const startedBy = this.existing('GivenPipelineRole', props.pipelineRole) ?? (props.role && role);
    this.pipeline = new SageMakerPipeline(this, 'Pipeline', {
      pipelineName,
      role: startedBy ?? new PipelineRole(this, 'PipelineRole', { pipelineName, steps, bucket, key, images: [image] }),
      parameters: [inputData, instanceType, least, approval],
      steps,
      images: [image],
    });
  }

  /** A role of somebody else's, which grants do not change: what is made here lets it in. */
  private existing(id: string, role: IRole | undefined): IRole | undefined {
    if (!role) return undefined;
    this.dataset.allowExistingRole(role);
    return Role.fromRoleArn(this, id, role.roleArn, { mutable: false });
  }
}
