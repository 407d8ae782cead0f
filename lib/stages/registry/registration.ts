// The registry stage: the trained model, with its evaluation, as a version in a model package group, and as a model to deploy.
import type { DriftCheckBaselines, ModelMetrics, TransformInstanceType } from '@aws-sdk/client-sagemaker';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { TaskName } from '../../../training/hyperparameters';
import {
  type Finding,
  ModelStep,
  PipelineError,
  type RegisterModelArguments,
  RegisterModelStep,
  type Resolvable,
  type Text,
} from '../../pipeline';
import { checkInstanceType, checkOneOf, refusal, refusals } from '../checks/checks';
import { knownText } from '../checks/known-text';
import type { Evaluation } from '../evaluation';
import { PipelineStage, whereOf } from '../pipeline-stage';
import type { TrainedModel } from '../training/training-stage';
import { ModelPackageGroup } from './model-package-group';

/** What is registered, and where. */
export interface RegistrationProps {
  /** A training, or a tuning for its best model. */
  readonly training: TrainedModel;
  /** Whose report goes with it. */
  readonly evaluation: Evaluation;
  /** What the model is served as. */
  readonly role: IRole;
  /** A group that is there already; else `groupName`. @default one is made */
  readonly group?: ModelPackageGroup;
  /** Name of the model package group that is made here. @default that of `group` */
  readonly groupName?: string;
  /** What the model does: says what it is asked and answers, images or volumes. @default that of the training, else classification */
  readonly task?: TaskName;
  /** Of the group that is made here. @default none */
  readonly description?: string;
  /** Of each version. @default none */
  readonly versionDescription?: Text;
  /** Approved, PendingManualApproval or Rejected. @default PendingManualApproval */
  readonly approvalStatus?: Text;
  /** Instance types that the model may be deployed on. @default ml.g5.xlarge, ml.m5.xlarge */
  readonly instanceTypes?: readonly string[];
  /** What else is to be known of a version: up to 50 texts of up to 256 characters by their names. @default nothing */
  readonly metadata?: Readonly<Record<string, Text>>;
  /** Reports beside the evaluation's, e.g. of bias or explainability. @default none */
  readonly modelMetrics?: Resolvable<ModelMetrics>;
  /** What later versions, and a monitor of the endpoint, are compared with. @default none */
  readonly driftBaselines?: Resolvable<DriftCheckBaselines>;
  /** Encrypts what the registry keeps of a version. @default SageMaker's own key */
  readonly key?: IKey;
  /** The model is served without network: all that it needs is in its archive and its image. @default true */
  readonly networkIsolation?: boolean;
  /** Name of the step that makes the model which an endpoint serves. @default CreateModel */
  readonly modelStepName?: string;
}

/** What models of each task are asked, and what they answer. */
const TYPES: Readonly<Record<TaskName, { readonly asked: string[]; readonly answered: string[] }>> = {
  classification: { asked: ['image/png', 'image/jpeg', 'application/json'], answered: ['application/json'] },
  segmentation: {
    asked: ['application/x-nifti', 'application/gzip', 'application/dicom', 'application/x-tar'],
    answered: ['application/json', 'application/x-nifti', 'application/gzip'],
  },
};

/** Registers the model as a version in a model package group, and makes a model to deploy. */
export class Registration extends PipelineStage {
  /** Registers the version. */
  readonly step: RegisterModelStep;
  /** Makes the model that an endpoint serves. */
  readonly modelStep: ModelStep;
  /** The group of the versions. */
  readonly group: ModelPackageGroup;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: RegistrationProps) {
    super(scope, id);
    const findings = check(whereOf(this), props);
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    const { groupName = '', description } = props;
    this.group =
      props.group ??
      new ModelPackageGroup(this, 'Group', { groupName, ...(description !== undefined && { description }) });
    const container = { Image: props.training.image.uri, ModelDataUrl: props.training.model };
    this.step = new RegisterModelStep(id, { arguments: versionOf(props, this.group.groupName, container) });
    this.modelStep = new ModelStep(props.modelStepName ?? 'CreateModel', {
      arguments: {
        PrimaryContainer: container,
        ExecutionRoleArn: props.role.roleArn,
        EnableNetworkIsolation: props.networkIsolation ?? true,
      },
    });
  }
}

function versionOf(
  props: RegistrationProps,
  groupName: string,
  container: { Image: string; ModelDataUrl: Text },
): RegisterModelArguments {
  const { asked, answered } = TYPES[props.task ?? props.training.task ?? 'classification'];
  const { instanceTypes = ['ml.g5.xlarge', 'ml.m5.xlarge'], metadata = {}, versionDescription } = props;
  const quality = { Statistics: { ContentType: 'application/json', S3Uri: props.evaluation.report } };
  return {
    ModelPackageGroupName: groupName,
    ModelApprovalStatus: (props.approvalStatus ?? 'PendingManualApproval') as 'PendingManualApproval',
    ...(versionDescription !== undefined && { ModelPackageDescription: versionDescription }),
    InferenceSpecification: {
      Containers: [container],
      SupportedContentTypes: asked,
      SupportedResponseMIMETypes: answered,
      SupportedRealtimeInferenceInstanceTypes: instanceTypes as 'ml.g5.xlarge'[],
      SupportedTransformInstanceTypes: instanceTypes as TransformInstanceType[],
    },
    ...(props.key && { SecurityConfig: { KmsKeyId: props.key.keyArn } }),
    ModelMetrics: { ModelQuality: quality, ...props.modelMetrics },
    ...(Object.keys(metadata).length > 0 && { CustomerMetadataProperties: metadata }),
    ...(props.driftBaselines && { DriftCheckBaselines: props.driftBaselines }),
  };
}

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html */
const METADATA = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

function check(where: string, props: RegistrationProps): Finding[] {
  const { group, groupName, description, metadata = {}, task, training, instanceTypes = [] } = props;
  const findings = refusals(where, (refuse) => {
    checkOneOf('task', task, Object.keys(TYPES), refuse);
    if (task !== undefined && training.task !== undefined && task !== training.task)
      refuse('task', `${task}, and the training's network is for ${training.task}`, 'the same', 'leave task out');
    instanceTypes.forEach((type, index) => void checkInstanceType(`instanceTypes[${index}]`, type, refuse));
  });
  if ((group === undefined) === (groupName === undefined)) {
    const given = `with ${group ? 'both' : 'neither'} of group and groupName`;
    findings.push(
      refusal(where, 'group', given, 'exactly one of them', 'set group, or groupName for one that is made'),
    );
  }
  if (group && description !== undefined) {
    const fix = 'give it to the group itself';
    findings.push(refusal(where, 'description', 'given with group', 'it for a group that is made', fix));
  }
  const entries = Object.entries(metadata);
  if (entries.length > 50) {
    findings.push(refusal(where, 'metadata', `${entries.length} texts`, '50', 'leave some out'));
  }
  for (const [name, value] of entries) {
    const text = knownText(value) ?? '';
    if (name.length >= 1 && name.length <= 128 && text.length <= 256 && METADATA.test(name) && METADATA.test(text)) {
      continue;
    }
    const allowed = 'up to 128 and 256 characters: letters, digits, spaces and _.:/=+-@';
    findings.push(refusal(where, `metadata.${name}`, `'${text}'`, allowed, 'shorten it, or leave the others out'));
  }
  return findings;
}
