// Names become files and folders: one that could lead elsewhere is refused over HTTP, by the limits that SageMaker has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateModelPackageGroupCommand,
  CreatePipelineCommand,
  CreateProcessingJobCommand,
  CreateTrainingJobCommand,
  type CreateTrainingJobRequest,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { requireName } from '../../../lib/local/names';
import { controlPlane, IMAGE, ROLE } from './control-plane';

const cluster = { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } as const;
const container = { Image: IMAGE, ModelDataUrl: 's3://bucket/model.tar.gz' };
const pipeline = JSON.stringify({
  Version: '2020-12-01',
  Steps: [{ Name: 'Stop', Type: 'Fail', Arguments: { ErrorMessage: 'no' } }],
});

function train(client: SageMakerClient, parts: Partial<CreateTrainingJobRequest>) {
  return client.send(
    new CreateTrainingJobCommand({
      TrainingJobName: 'job',
      AlgorithmSpecification: { TrainingImage: IMAGE, TrainingInputMode: 'File' },
      RoleArn: ROLE,
      OutputDataConfig: { S3OutputPath: 's3://bucket/models' },
      ResourceConfig: cluster,
      StoppingCondition: { MaxRuntimeInSeconds: 60 },
      ...parts,
    }),
  );
}

function process(client: SageMakerClient, name: string, place: 'inputs' | 'outputs', LocalPath: string) {
  const input = { S3Uri: 's3://bucket/in', LocalPath, S3DataType: 'S3Prefix', S3InputMode: 'File' } as const;
  const output = { S3Uri: 's3://bucket/out', LocalPath, S3UploadMode: 'EndOfJob' } as const;
  return client.send(
    new CreateProcessingJobCommand({
      ProcessingJobName: name,
      ProcessingResources: { ClusterConfig: cluster },
      AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['work'] },
      RoleArn: ROLE,
      ...(place === 'inputs' && { ProcessingInputs: [{ InputName: 'data', S3Input: input }] }),
      ...(place === 'outputs' && { ProcessingOutputConfig: { Outputs: [{ OutputName: 'data', S3Output: output }] } }),
    }),
  );
}

async function createModel(client: SageMakerClient, name: string) {
  await client.send(new CreateModelCommand({ ModelName: name, PrimaryContainer: container, ExecutionRoleArn: ROLE }));
}

async function createConfig(client: SageMakerClient, name: string, VariantName: string) {
  await createModel(client, 'm');
  const ProductionVariants = [{ VariantName, ModelName: 'm' }];
  await client.send(new CreateEndpointConfigCommand({ EndpointConfigName: name, ProductionVariants }));
}

/** What creates each kind of resource under a name. */
const CREATE: Readonly<Record<string, (client: SageMakerClient, name: string) => Promise<unknown>>> = {
  'training job': (client, name) => train(client, { TrainingJobName: name }),
  'processing job': (client, name) => process(client, name, 'outputs', '/opt/ml/processing/out'),
  model: createModel,
  'endpoint configuration': (client, name) => createConfig(client, name, 'v'),
  'production variant': (client, name) => createConfig(client, 'c', name),
  endpoint: async (client, name) => {
    await createConfig(client, 'c', 'v');
    await client.send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName: 'c' }));
  },
  'model package group': (client, name) =>
    client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: name })),
  pipeline: (client, name) =>
    client.send(new CreatePipelineCommand({ PipelineName: name, PipelineDefinition: pipeline, RoleArn: ROLE })),
};

for (const [kind, create] of Object.entries(CREATE)) {
  test(`a path as the name of the ${kind} is refused`, async (t) => {
    const { client } = await controlPlane(t, { train: 'true', work: 'true' });
    await assert.rejects(create(client, '../../../escaped'), {
      name: 'ValidationException',
      message: new RegExp(`name of the ${kind} is '../../../escaped'; allowed are 1 to \\d+ letters`),
    });
  });
}

for (const name of ['a', '1', 'a-b', 'A--b9', 'a'.repeat(63)]) {
  test(`the name ${name} is allowed`, () => {
    assert.equal(requireName('model', name), name);
  });
}

for (const name of [
  '',
  '-a',
  'a-',
  'a_b',
  'a.b',
  'a b',
  '..',
  'a/b',
  'a\n',
  'é',
  'a'.repeat(64),
  `a${'-'.repeat(62)}a`,
]) {
  test(`the name ${JSON.stringify(name)} is not`, () => {
    assert.throws(() => requireName('model', name), { type: 'ValidationException' });
  });
}

test("a pipeline's name may be longer than others'", async (t) => {
  const { client } = await controlPlane(t);
  await CREATE.pipeline?.(client, 'p'.repeat(64));
});

const channel = (ChannelName: string) => ({
  InputDataConfig: [
    { ChannelName, DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/data' } } } as const,
  ],
});

for (const name of ['../../x', '..', '.', 'a/b', '', 'a'.repeat(65)]) {
  test(`a channel '${name}' is refused`, async (t) => {
    const { client } = await controlPlane(t, { train: 'true' });
    await assert.rejects(train(client, channel(name)), {
      name: 'ValidationException',
      message: /name of a channel is '.*'; allowed are 1 to 64 letters.* not dots alone/,
    });
  });
}

test('a channel may have dots, hyphens and underscores', async (t) => {
  const { client } = await controlPlane(t, { train: 'true' });
  await train(client, channel('..a_b-c.D'));
});

for (const place of ['inputs', 'outputs'] as const) {
  for (const path of ['/opt/ml/processing/../../x', '/opt/ml/..', '/etc', '/opt/mlx', 'opt/ml/x', '../x']) {
    test(`${path} among a processing job's ${place} is refused`, async (t) => {
      const { client } = await controlPlane(t, { work: 'true' });
      await assert.rejects(process(client, 'job', place, path), {
        name: 'ValidationException',
        message: new RegExp(`the LocalPath '${path}' is not in /opt/ml; write it as /opt/ml/processing/name`),
      });
    });
  }
}
