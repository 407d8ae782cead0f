// The function that EventBridge wakes: it moves an endpoint to the newest approved version of a model package group.
// It runs in Lambda's Node.js runtime, with the AWS SDK that is there; nothing else is packed with it.
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { Deployment, DeploymentEvent } from './deployment';
import { type Clients, type Outcome, reconcile } from './reconcile';

const clients: Clients = {
  sagemaker: new SageMakerClient(),
  scaling: new ApplicationAutoScalingClient(),
  cloudwatch: new CloudWatchClient(),
};

export async function handler(event: DeploymentEvent): Promise<Outcome> {
  const deployment = JSON.parse(process.env.DEPLOYMENT ?? '{}') as Deployment;
  const outcome = await reconcile(clients, deployment, event);
  console.log(JSON.stringify({ endpoint: deployment.endpointName, outcome, wokenBy: event['detail-type'] ?? 'hand' }));
  return outcome;
}
