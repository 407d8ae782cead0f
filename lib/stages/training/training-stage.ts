// What all stages that train are: their settings checked, their job in its place in the network, its keys granted; and the training step.
import { Annotations } from 'aws-cdk-lib';
import { type Connections, type IConnectable, Port } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { TaskName } from '../../../training/hyperparameters';
import {
  type Expression,
  type Finding,
  PipelineError,
  type Text,
  type TrainingArguments,
  TrainingStep,
} from '../../pipeline';
import { grantNetworkInterfaces, placeIn } from '../access/network';
import type { ByocImage } from '../byoc-image';
import { hasLocalDisks } from '../checks/local-disks';
import { PipelineStage, whereOf } from '../pipeline-stage';
import { type TrainingJob, type TrainingWork, trainingArguments } from './training-arguments';
import { checkTrainingSettings } from './training-checks';
import { RETRY_ON_CAPACITY, type TrainingSettings } from './training-settings';

/** A model and the image that serves it: what evaluation and registration take of a training or of a tuning. */
export interface TrainedModel {
  /** What serves the model. */
  readonly image: ByocImage;
  /** S3 URI of model.tar.gz. */
  readonly model: Text;
  /** What the network is for. @default not known */
  readonly task?: TaskName;
}

/** A stage that trains, once or many times. */
export abstract class TrainingJobStage extends PipelineStage implements IConnectable {
  private network?: Connections;

  /**
   * The job's place in its VPC.
   *
   * @throws PipelineError where it is in none
   */
  get connections(): Connections {
    if (this.network) return this.network;
    throw new PipelineError(this.node.path, [
      { where: whereOf(this), problem: 'it has no connections, for it is in no VPC.', fix: 'set vpc.' },
    ]);
  }

  /** @throws PipelineError naming all that is wrong with the settings, and what the stage itself has found */
  protected refuse(settings: TrainingSettings, own: readonly Finding[]): void {
    const findings = [...own, ...checkTrainingSettings(whereOf(this), settings)];
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
  }

  /** The arguments of the job, whose role is allowed what the settings need. */
  protected jobArguments(settings: TrainingSettings, job: TrainingWork): TrainingArguments {
    const network = this.join(settings);
    this.grantKeys(settings);
    settings.tracking?.grantTrack(settings.role);
    return trainingArguments(this.node.id, settings, { ...job, ...(network && { network }) });
  }

  /** Puts the job into its VPC, where there is one. */
  private join(settings: TrainingSettings): TrainingJob['network'] {
    const place = placeIn(this, settings, `Training job of ${this.node.path}`);
    if (!place) return undefined;
    const { connections, subnetIds, securityGroupIds } = place;
    this.network = connections;
    if ((settings.instanceCount ?? 1) > 1)
      connections.allowInternally(Port.allTraffic(), 'the instances of a job speak to each other');
    grantNetworkInterfaces(this, settings.role, place);
    return { subnetIds, securityGroupIds };
  }

  private grantKeys({ role, volumeKey, outputKey, instanceType }: TrainingSettings): void {
    outputKey?.grantEncryptDecrypt(role);
    if (!volumeKey) return;
    if (hasLocalDisks(instanceType)) {
      Annotations.of(this).addInfo(
        'volumeKey is left out: SageMaker takes none for an instance type with local disks, which their hardware encrypts',
      );
      return;
    }
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['kms:CreateGrant'],
        resources: [volumeKey.keyArn],
        // SageMaker passes the grant on to EC2, and to nobody else
        conditions: { Bool: { 'kms:GrantIsForAWSResource': 'true' } },
      }),
    );
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['kms:DescribeKey', 'kms:GenerateDataKeyWithoutPlaintext'],
        resources: [volumeKey.keyArn],
      }),
    );
  }
}

/** A stage with a training step. */
export abstract class TrainingStage extends TrainingJobStage implements TrainedModel {
  abstract readonly image: ByocImage;
  private trainingStep?: TrainingStep;

  /** The step of the pipeline. */
  get step(): TrainingStep {
    return this.trainingStep as TrainingStep;
  }

  get model(): Expression<string> {
    return this.step.properties.ModelArtifacts.S3ModelArtifacts;
  }

  protected train(settings: TrainingSettings, job: TrainingWork): void {
    const { retry = RETRY_ON_CAPACITY } = settings;
    this.trainingStep = new TrainingStep(this.node.id, { arguments: this.jobArguments(settings, job), retry });
  }
}
