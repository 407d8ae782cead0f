// Registers the variants of an endpoint in service with Application Auto Scaling, which knows no endpoint before.
import {
  type ApplicationAutoScalingClient,
  DeregisterScalableTargetCommand,
  DescribeScalableTargetsCommand,
  PutScalingPolicyCommand,
  type PutScalingPolicyCommandInput,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { type CloudWatchClient, PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import type { ScalableTarget, ScalingPolicy } from '../autoscaling';
import type { Deployment } from './deployment';

export interface ScalingClients {
  readonly scaling: ApplicationAutoScalingClient;
  readonly cloudwatch: CloudWatchClient;
}

async function putPolicy({ scaling }: ScalingClients, target: ScalableTarget, policy: ScalingPolicy): Promise<string> {
  const { ServiceNamespace, ResourceId, ScalableDimension } = target;
  const request = { ServiceNamespace, ResourceId, ScalableDimension, ...policy } as PutScalingPolicyCommandInput;
  const { PolicyARN } = await scaling.send(new PutScalingPolicyCommand(request));
  return PolicyARN as string;
}

/** Makes what is asked for, and takes away what is no longer. */
export async function settleScaling(
  clients: ScalingClients,
  { config, endpointName, scaling }: Deployment,
): Promise<void> {
  const wanted = new Set(scaling.map(({ target }) => target.ResourceId));
  const ResourceIds = (config.ProductionVariants ?? []).map(
    ({ VariantName }) => `endpoint/${endpointName}/variant/${VariantName}`,
  );
  const { ScalableTargets = [] } = await clients.scaling.send(
    new DescribeScalableTargetsCommand({ ServiceNamespace: 'sagemaker', ResourceIds }),
  );
  for (const { ServiceNamespace, ResourceId, ScalableDimension } of ScalableTargets) {
    if (wanted.has(ResourceId as string)) continue;
    await clients.scaling.send(
      new DeregisterScalableTargetCommand({ ServiceNamespace, ResourceId, ScalableDimension }),
    );
  }
  for (const { target, tracking, wakeUp } of scaling) {
    await clients.scaling.send(new RegisterScalableTargetCommand({ ...target }));
    await putPolicy(clients, target, tracking);
    if (!wakeUp) continue;
    const arn = await putPolicy(clients, target, wakeUp.policy);
    const { Dimensions, ...alarm } = wakeUp.alarm;
    await clients.cloudwatch.send(
      new PutMetricAlarmCommand({ ...alarm, Dimensions: [...Dimensions], AlarmActions: [arn] }),
    );
  }
}
