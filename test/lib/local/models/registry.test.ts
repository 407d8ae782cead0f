// Models, model package groups and their versions, over HTTP.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CreateModelCommand,
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  DescribeModelPackageGroupCommand,
  ListModelPackagesCommand,
  type SageMakerClient,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { ensureModelPackageGroup } from '../../../../lib/operations/execution';
import { controlPlane, IMAGE, ROLE } from '../control-plane';

const container = { Image: IMAGE, ModelDataUrl: 's3://bucket/model.tar.gz' };

async function addVersion(client: SageMakerClient, group: string): Promise<string> {
  const { ModelPackageArn } = await client.send(
    new CreateModelPackageCommand({
      ModelPackageGroupName: group,
      InferenceSpecification: { Containers: [container] },
    }),
  );
  return ModelPackageArn as string;
}

test('versions of a group are counted from 1, each group for itself, and listed newest first', async (t) => {
  const { client } = await controlPlane(t);
  for (const group of ['a', 'b']) await ensureModelPackageGroup(client, group);
  for (const group of ['a', 'b', 'a']) await addVersion(client, group);
  const { ModelPackageSummaryList } = await client.send(new ListModelPackagesCommand({ ModelPackageGroupName: 'a' }));
  assert.deepEqual(
    ModelPackageSummaryList?.map(({ ModelPackageArn }) => ModelPackageArn),
    [2, 1].map((version) => `arn:aws:sagemaker:us-east-1:000000000000:model-package/a/${version}`),
  );
});

test('a version waits for approval until it is given', async (t) => {
  const { client } = await controlPlane(t);
  await ensureModelPackageGroup(client, 'a');
  const ModelPackageArn = await addVersion(client, 'a');
  const status = async () => {
    const described = await client.send(new DescribeModelPackageCommand({ ModelPackageName: ModelPackageArn }));
    return described.ModelApprovalStatus;
  };
  assert.equal(await status(), 'PendingManualApproval');
  await client.send(new UpdateModelPackageCommand({ ModelPackageArn, ModelApprovalStatus: 'Approved' }));
  assert.equal(await status(), 'Approved');
});

test('making sure of a group that is there leaves it as it is', async (t) => {
  const { client } = await controlPlane(t);
  await client.send(
    new CreateModelPackageGroupCommand({ ModelPackageGroupName: 'a', ModelPackageGroupDescription: 'mine' }),
  );
  await ensureModelPackageGroup(client, 'a');
  const group = await client.send(new DescribeModelPackageGroupCommand({ ModelPackageGroupName: 'a' }));
  assert.equal(group.ModelPackageGroupDescription, 'mine');
});

test('what is not there, or is there already, is a ValidationException', async (t) => {
  const { client } = await controlPlane(t);
  const refusal = { name: 'ValidationException' };
  await assert.rejects(addVersion(client, 'gone'), refusal);
  await assert.rejects(client.send(new DescribeModelCommand({ ModelName: 'gone' })), refusal);
  await assert.rejects(client.send(new DescribeModelPackageCommand({ ModelPackageName: 'gone/1' })), refusal);
  const model = new CreateModelCommand({ ModelName: 'm', PrimaryContainer: container, ExecutionRoleArn: ROLE });
  await client.send(model);
  await assert.rejects(client.send(model), { ...refusal, message: /already existing model/ });
});

test('a model without a container is refused, and is not there then', async (t) => {
  const { client } = await controlPlane(t);
  await assert.rejects(client.send(new CreateModelCommand({ ModelName: 'm', ExecutionRoleArn: ROLE })), {
    name: 'ValidationException',
    message: /must have one container/,
  });
  await assert.rejects(client.send(new DescribeModelCommand({ ModelName: 'm' })), /there is no model m/);
});
