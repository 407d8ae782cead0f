// What the function that deploys deletes: an endpoint that could not be made, and configurations that are long out of service.
import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  ListEndpointConfigsCommand,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import type { Deployment } from './deployment';
import { ifKnown, versionOfConfig } from './names';

/** Milliseconds: SageMaker takes seconds to delete an endpoint that has no instances. */
const GONE_WITHIN = 120_000;
const LOOK_EVERY = 2_000;

/**
 * An endpoint that failed serves nobody, and SageMaker allows nothing but deleting it.
 *
 * @throws Error where it is still there after two minutes
 */
export async function deleteFailed(sagemaker: SageMakerClient, EndpointName: string): Promise<void> {
  await sagemaker.send(new DeleteEndpointCommand({ EndpointName }));
  const deadline = Date.now() + GONE_WITHIN;
  while (await ifKnown(sagemaker.send(new DescribeEndpointCommand({ EndpointName })))) {
    if (Date.now() > deadline) throw new Error(`the endpoint ${EndpointName} failed, and is not deleted yet`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
}

/** Deletes the oldest configurations of this endpoint, each with its model, and never one that it uses or moves to. */
export async function pruneConfigs(
  sagemaker: SageMakerClient,
  deployment: Deployment,
  { EndpointConfigName, PendingDeploymentSummary }: DescribeEndpointCommandOutput,
): Promise<void> {
  const used = new Set([EndpointConfigName, PendingDeploymentSummary?.EndpointConfigName]);
  const found: { readonly name: string; readonly made: number }[] = [];
  let NextToken: string | undefined;
  do {
    const page = await sagemaker.send(new ListEndpointConfigsCommand({ NameContains: deployment.prefix, NextToken }));
    for (const { EndpointConfigName: name, CreationTime } of page.EndpointConfigs ?? []) {
      if (name === undefined || versionOfConfig(deployment, name) === undefined || used.has(name)) continue;
      found.push({ name, made: CreationTime?.getTime() ?? 0 });
    }
    NextToken = page.NextToken;
  } while (NextToken);
  for (const { name } of found.sort((a, b) => b.made - a.made).slice(deployment.keep)) {
    await sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: name }));
    await ifKnown(sagemaker.send(new DeleteModelCommand({ ModelName: name })));
  }
}
