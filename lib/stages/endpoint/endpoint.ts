// An endpoint as resources of a stack, for models that are known when the stack is deployed.
import {
  CfnScalableTarget,
  type CfnScalableTargetProps,
  CfnScalingPolicy,
} from 'aws-cdk-lib/aws-applicationautoscaling';
import { CfnAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import {
  CfnEndpoint,
  CfnEndpointConfig,
  type CfnEndpointConfigProps,
  type CfnEndpointProps,
} from 'aws-cdk-lib/aws-sagemaker';
import type { Construct } from 'constructs';
import { acknowledgeInPacks } from '../checks/acknowledge';
import { variantScaling } from './autoscaling';
import { tagList, toCfn } from './endpoint-requests';
import { type EndpointSettings, type EndpointVariant, variantNameOf } from './endpoint-settings';
import { EndpointStage } from './endpoint-stage';

/** What is served, and how. */
export interface EndpointProps extends EndpointSettings {
  /** 1 to 10; requests are shared out by their weights. */
  readonly variants: readonly EndpointVariant[];
}

/**
 * An endpoint whose models are known when the stack is deployed: a model package by its ARN, or an image and a model.tar.gz. CloudFormation
 * makes it, and moves it with each deployment that changes something, as `update` says.
 *
 * - For the newest approved version of a model package group: {@link ApprovedModelEndpoint}.
 * - For what an execution of a pipeline has just trained: {@link EndpointDeployment}.
 */
export class Endpoint extends EndpointStage {
  /** As CloudFormation knows it. */
  readonly resource: CfnEndpoint;
  /** As CloudFormation knows it. */
  readonly config: CfnEndpointConfig;

  /** @throws PipelineError naming all that is wrong with the endpoint */
  constructor(scope: Construct, id: string, props: EndpointProps) {
    super(scope, id, props, props.variants);
    const { variants, shadow } = props;
    const request = this.configRequest(
      variants.map((variant) => this.withModel(variant)),
      shadow && this.withModel(shadow),
    );
    this.config = new CfnEndpointConfig(this, 'Config', toCfn(request) as CfnEndpointConfigProps);
    this.acknowledgeVolumes();
    const tags = tagList(props.tags);
    const deployment = this.deploymentRequest;
    this.resource = new CfnEndpoint(this, 'Resource', {
      endpointName: this.endpointName,
      endpointConfigName: this.config.attrEndpointConfigName,
      ...(tags.length > 0 && { tags: toCfn(tags) as CfnEndpointProps['tags'] }),
      ...(deployment && { deploymentConfig: toCfn(deployment) }),
      // a deployment of the stack is not to undo what autoscaling has done; weights and capture are the template's
      ...(variants.some(({ autoscaling }) => autoscaling) && {
        retainAllVariantProperties: true,
        excludeRetainedVariantProperties: ['DesiredWeight', 'DataCaptureConfig'].map((variantPropertyType) => ({
          variantPropertyType,
        })),
      }),
    } as CfnEndpointProps);
    for (const variant of variants) this.scale(variant);
  }

  private scale(variant: EndpointVariant): void {
    const scaling = variantScaling(this.endpointName, variant, this.settings);
    if (!scaling) return;
    const name = variantNameOf(variant);
    const target = new CfnScalableTarget(this, `${name}Capacity`, toCfn(scaling.target) as CfnScalableTargetProps);
    target.addDependency(this.resource);
    const policy = (id: string, request: object) =>
      new CfnScalingPolicy(this, id, { ...(toCfn(request) as object), scalingTargetId: target.ref } as never);
    policy(`${name}Tracking`, scaling.tracking);
    if (!scaling.wakeUp) return;
    const alarm = toCfn(scaling.wakeUp.alarm) as ConstructorParameters<typeof CfnAlarm>[2];
    const { ref } = policy(`${name}WakeUp`, scaling.wakeUp.policy);
    new CfnAlarm(this, `${name}WakeUpAlarm`, { ...alarm, alarmActions: [ref] } as never);
  }

  /** There is a key, and SageMaker takes none: cdk-nag asks for it nonetheless. */
  private acknowledgeVolumes(): void {
    if (!this.settings.key || this.config.kmsKeyId !== undefined) return;
    acknowledgeInPacks(
      this.config,
      'SageMakerEndpointConfigurationKMSKeyConfigured',
      'SageMaker takes no key where there are no volumes, or local disks, which their hardware encrypts: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html',
    );
  }
}
