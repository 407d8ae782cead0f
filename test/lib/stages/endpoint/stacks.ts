// Stacks with endpoints of every kind, for those that look at whole templates: cfn-lint, and the rule packs.
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { ApprovedModelEndpoint, ByocImage, Dataset, Endpoint, ModelPackageGroup } from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

/** As `cdk synth` has it: policies that are merged have other findings. */
export function newApp(): App {
  return new App({ outdir: temporaryFolder(), context: { '@aws-cdk/aws-iam:minimizePolicies': true } });
}

export function imageOf(stack: Stack): ByocImage {
  return ByocImage.fromEcr(stack, 'Image', new Repository(stack, 'Repository', { imageScanOnPush: true }));
}

/** By what each has that the others have not. */
export const STACKS: Readonly<Record<string, (stack: Stack) => void>> = {
  'real time': (stack) => {
    const { bucket } = new Dataset(stack, 'Data');
    const image = imageOf(stack);
    const model = { image, modelData: `s3://${bucket.bucketName}/pipelines/1/model.tar.gz`, environment: { A: 'b' } };
    new Endpoint(stack, 'Endpoint', {
      variants: [
        {
          model,
          variantName: 'Champion',
          weight: 9,
          instanceType: 'ml.m5.xlarge',
          volumeSize: 60,
          containerStartupTimeout: Duration.minutes(10),
          modelDownloadTimeout: Duration.minutes(5),
          initialInstanceCount: 4,
          autoscaling: { maxCapacity: 4 },
        },
        {
          model: { modelPackageArn: 'arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/3' },
          variantName: 'Challenger',
          instanceType: 'ml.m5.xlarge',
          initialInstanceCount: 4,
        },
      ],
      bucket,
      vpc: new Vpc(stack, 'Vpc', { maxAzs: 2 }),
      capture: { percentage: 20, csvContentTypes: ['text/csv'] },
      update: { strategy: 'Linear', stepSize: 25, terminationWait: Duration.minutes(5) },
      tags: { project: 'planes' },
    });
  },
  asynchronous: (stack) => {
    const { bucket, key } = new Dataset(stack, 'Data');
    new Endpoint(stack, 'Endpoint', {
      variants: [
        {
          model: { image: imageOf(stack), modelData: `s3://${bucket.bucketName}/model.tar.gz` },
          initialInstanceCount: 2,
          autoscaling: { maxCapacity: 2 },
        },
      ],
      bucket,
      key,
      async: {
        maxConcurrentInvocations: 2,
        successTopic: new Topic(stack, 'Success', { masterKey: key, enforceSSL: true }),
        errorTopic: new Topic(stack, 'Error', { masterKey: key, enforceSSL: true }),
      },
      update: { strategy: 'Rolling', stepSize: 50, maxExecutionTime: Duration.hours(1) },
    });
  },
  serverless: (stack) => {
    const key = new Key(stack, 'Key', { enableKeyRotation: true });
    new Endpoint(stack, 'Endpoint', {
      variants: [
        {
          model: { image: imageOf(stack), modelData: 's3://models/model.tar.gz' },
          serverless: { provisionedConcurrency: 2 },
          autoscaling: { minCapacity: 2, maxCapacity: 10 },
        },
      ],
      key,
    });
  },
  shadow: (stack) => {
    const { bucket } = new Dataset(stack, 'Data');
    const image = imageOf(stack);
    const model = (version: number) => ({ image, modelData: `s3://${bucket.bucketName}/${version}/model.tar.gz` });
    new Endpoint(stack, 'Endpoint', {
      variants: [{ model: model(1), initialInstanceCount: 2 }],
      shadow: { model: model(2), variantName: 'Shadow', weight: 0.5 },
      bucket,
      update: { strategy: 'Canary', stepSize: 1, stepUnit: 'INSTANCE_COUNT' },
    });
  },
  approved: (stack) => {
    const { bucket, key } = new Dataset(stack, 'Data');
    const image = imageOf(stack);
    const group = new ModelPackageGroup(stack, 'Group', { groupName: 'planes' });
    group.shareWith(['444455556666'], { bucket, key, modelKeys: 'pipelines/*/training/*', images: [image] });
    new ApprovedModelEndpoint(stack, 'Endpoint', {
      modelPackageGroup: group.groupName,
      variants: [{ autoscaling: { maxCapacity: 3 } }],
      capture: {},
      bucket,
      images: [image],
    });
  },
};

export function stackOf(make: (stack: Stack) => void): Stack {
  const stack = new Stack(newApp(), 'Test');
  make(stack);
  return stack;
}
