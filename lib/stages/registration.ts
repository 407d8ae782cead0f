// The registry stage: the trained model, with its evaluation, as a version in a model package group, and as a model to deploy.
import type { TransformInstanceType } from '@aws-sdk/client-sagemaker';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnModelPackageGroup } from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { ModelStep, RegisterModelStep, type Text } from '../pipeline';
import type { Evaluation } from './evaluation';
import type { ByocTraining } from './training/byoc-training';

/** What is registered, and where. */
export interface RegistrationProps {
  /** Whose model, in whose image. */
  readonly training: ByocTraining;
  /** Whose report goes with it. */
  readonly evaluation: Evaluation;
  /** What the model is served as. */
  readonly role: IRole;
  /** Name of the model package group, made here. */
  readonly groupName: string;
  /** Of the group. @default none */
  readonly description?: string;
  /** Approved, PendingManualApproval or Rejected. @default PendingManualApproval */
  readonly approvalStatus?: Text;
  /** Instance types that the model may be deployed on. @default ml.g5.xlarge, ml.m5.xlarge */
  readonly instanceTypes?: readonly string[];
  /** Encrypts what the registry keeps of a version. @default SageMaker's own key */
  readonly key?: IKey;
  /** The model is served without network: all that it needs is in its archive and its image. @default true */
  readonly networkIsolation?: boolean;
}

const IMAGE_TYPES = ['image/png', 'image/jpeg', 'application/json'];

/** Registers the model as a version in a model package group, and makes a model to deploy. */
export class Registration extends Construct {
  /** Registers the version. */
  readonly step: RegisterModelStep;
  /** Makes the model that an endpoint serves. */
  readonly modelStep: ModelStep;
  /** The group of the versions. */
  readonly group: CfnModelPackageGroup;

  constructor(scope: Construct, id: string, props: RegistrationProps) {
    super(scope, id);
    const { training, evaluation, instanceTypes = ['ml.g5.xlarge', 'ml.m5.xlarge'] } = props;
    this.group = new CfnModelPackageGroup(this, 'Group', {
      modelPackageGroupName: props.groupName,
      ...(props.description !== undefined && { modelPackageGroupDescription: props.description }),
    });
    const container = { Image: training.image.uri, ModelDataUrl: training.model };
    this.step = new RegisterModelStep(id, {
      arguments: {
        ModelPackageGroupName: props.groupName,
        ModelApprovalStatus: (props.approvalStatus ?? 'PendingManualApproval') as 'PendingManualApproval',
        InferenceSpecification: {
          Containers: [container],
          SupportedContentTypes: IMAGE_TYPES,
          SupportedResponseMIMETypes: ['application/json'],
          SupportedRealtimeInferenceInstanceTypes: instanceTypes as 'ml.g5.xlarge'[],
          SupportedTransformInstanceTypes: instanceTypes as TransformInstanceType[],
        },
        ...(props.key && { SecurityConfig: { KmsKeyId: props.key.keyArn } }),
        ModelMetrics: { ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri: evaluation.report } } },
      },
    });
    this.modelStep = new ModelStep(`${id}Model`, {
      arguments: {
        PrimaryContainer: container,
        ExecutionRoleArn: props.role.roleArn,
        EnableNetworkIsolation: props.networkIsolation ?? true,
      },
    });
  }
}
