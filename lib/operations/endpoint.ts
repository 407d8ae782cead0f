// Deploys a model to an endpoint, asks it, and takes it away: through the AWS SDK, on SageMaker as on this machine.
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DescribeEndpointCommand,
  type ProductionVariantInstanceType,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, type SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { OperationError } from './errors';

export interface DeployOptions {
  /** Name of the endpoint, and of its configuration. */
  readonly name: string;
  readonly modelName: string;
  /** @default ml.g5.xlarge */
  readonly instanceType?: string;
  /** Milliseconds between looks at whether it is in service. @default 5000 */
  readonly pollEvery?: number;
}

/** Makes an endpoint and waits until it is in service. @throws OperationError when it fails, with the reason */
export async function deployModel(
  client: SageMakerClient,
  { name, modelName, instanceType = 'ml.g5.xlarge', pollEvery = 5000 }: DeployOptions,
): Promise<void> {
  const variant = {
    VariantName: 'AllTraffic',
    ModelName: modelName,
    InitialInstanceCount: 1,
    InstanceType: instanceType as ProductionVariantInstanceType,
  };
  await client.send(new CreateEndpointConfigCommand({ EndpointConfigName: name, ProductionVariants: [variant] }));
  await client.send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName: name }));
  for (;;) {
    const { EndpointStatus, FailureReason } = await client.send(new DescribeEndpointCommand({ EndpointName: name }));
    if (EndpointStatus === 'InService') return;
    if (EndpointStatus === 'Failed')
      throw new OperationError(`the endpoint ${name} failed: ${FailureReason}.`, 'read the log of its container.');
    await new Promise((resolve) => setTimeout(resolve, pollEvery));
  }
}

/** Takes an endpoint and its configuration away. */
export async function deleteEndpoint(client: SageMakerClient, name: string): Promise<void> {
  await client.send(new DeleteEndpointCommand({ EndpointName: name }));
  await client.send(new DeleteEndpointConfigCommand({ EndpointConfigName: name }));
}

/** What is asked of an endpoint. */
export interface Invocation {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** Content type of the answer. @default the container's own choice */
  readonly accept?: string;
}

/** The body of an endpoint's answer. @throws ModelError where the container refuses, with its reason */
export async function invokeEndpoint(
  client: SageMakerRuntimeClient,
  name: string,
  { body, contentType, accept }: Invocation,
): Promise<Buffer> {
  const { Body } = await client.send(
    new InvokeEndpointCommand({ EndpointName: name, ContentType: contentType, Accept: accept, Body: body }),
  );
  return Buffer.from(Body as Uint8Array);
}
