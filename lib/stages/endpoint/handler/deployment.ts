// What the function that deploys is told by the stack, and what it is woken by.
import type {
  CreateEndpointConfigCommandInput,
  CreateModelCommandInput,
  DeploymentConfig,
  Tag,
} from '@aws-sdk/client-sagemaker';
import type { VariantScaling } from '../autoscaling';

/** Stands for the model of the approved version where a configuration names models. */
export const APPROVED_MODEL = '$approved';

export interface Deployment {
  readonly endpointName: string;
  /** Name or ARN of the model package group. */
  readonly group: string;
  /** Of the names of models and configurations, which go on with the version and a digest of the settings. */
  readonly prefix: string;
  /** Configurations, with their models, that are kept beside the one that serves. */
  readonly keep: number;
  /** Of the approved version's model: role, network, isolation. */
  readonly model: Omit<CreateModelCommandInput, 'ModelName' | 'PrimaryContainer'>;
  readonly config: Omit<CreateEndpointConfigCommandInput, 'EndpointConfigName'>;
  readonly deployment?: DeploymentConfig;
  readonly scaling: readonly VariantScaling[];
  readonly tags: readonly Tag[];
}

/** An event of EventBridge; any other wakes the function too, as if somebody had asked for it by hand. */
export interface DeploymentEvent {
  readonly 'detail-type'?: string;
  readonly detail?: {
    readonly ModelPackageArn?: string;
    readonly ModelApprovalStatus?: string;
    readonly EndpointName?: string;
    readonly EndpointStatus?: string;
  };
}
