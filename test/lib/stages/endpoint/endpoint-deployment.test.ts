// An endpoint as the last steps of a pipeline: checked, allowed to the pipeline's role, and right by botocore's service model.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { create } from 'tar';
import {
  ByocImage,
  ByocTraining,
  Dataset,
  EndpointDeployment,
  type EndpointDeploymentProps,
  JobRole,
  PipelineRole,
  SageMakerPipeline,
} from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { pushPipeline, startExecution } from '../../../../lib/operations/execution';
import { Pipeline, type StepDefinition } from '../../../../lib/pipeline';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';
import { controlPlane, endOf, IMAGE, ROLE } from '../../local/control-plane';

/** A pipeline that trains and deploys, as it is in the template. */
function synth(props: Partial<EndpointDeploymentProps> = {}) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const { bucket, key } = new Dataset(stack, 'Data', { bucket: new Bucket(stack, 'Bucket', { bucketName: 'data' }) });
  const image = ByocImage.fromUri(stack, 'Image', '123456789012.dkr.ecr.us-east-1.amazonaws.com/planes:1');
  const training = new ByocTraining(stack, 'Train', {
    channels: { train: 's3://data/train' },
    output: 's3://data/pipelines/out',
    image,
    role: new JobRole(stack, 'JobRole', { bucket, key, images: [image] }),
  });
  const deployment = new EndpointDeployment(stack, 'Deploy', {
    endpointName: 'planes',
    variants: [{ model: { image, modelData: training.model } }],
    bucket,
    key,
    ...props,
  });
  const steps = [training.step, ...deployment.steps];
  const role = new PipelineRole(stack, 'PipelineRole', { pipelineName: 'p', steps, bucket, key });
  new SageMakerPipeline(stack, 'Pipeline', { pipelineName: 'p', role, steps });
  const template = Template.fromStack(stack);
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = resolveTemplate(pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody, template.toJSON());
  const definition = JSON.parse(body as string) as { Steps: StepDefinition[] };
  const step = (name: string) => definition.Steps.find(({ Name }) => Name === name)?.Arguments as never;
  return { template, definition, step };
}

const { template, definition, step } = synth();

test('the model, a configuration of this execution, and the endpoint follow each other', () => {
  assert.deepEqual(
    definition.Steps.map(({ Name, Type }) => [Name, Type]),
    [
      ['Train', 'Training'],
      ['DeployModel', 'Model'],
      ['DeployConfig', 'EndpointConfig'],
      ['Deploy', 'Endpoint'],
    ],
  );
  const { PrimaryContainer } = step('DeployModel') as { PrimaryContainer: { ModelDataUrl: unknown } };
  assert.deepEqual(PrimaryContainer.ModelDataUrl, { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' });
  const config = step('DeployConfig') as { EndpointConfigName: unknown; ProductionVariants: { ModelName: unknown }[] };
  assert.deepEqual(config.EndpointConfigName, {
    'Std:Join': { On: '-', Values: ['planes', { Get: 'Execution.PipelineExecutionId' }] },
  });
  assert.deepEqual(config.ProductionVariants[0]?.ModelName, { Get: 'Steps.DeployModel.ModelName' });
});

test('the endpoint moves to the configuration, and back when an alarm goes off', () => {
  const endpoint = step('Deploy') as {
    EndpointName: string;
    EndpointConfigName: unknown;
    DeploymentConfig: { AutoRollbackConfiguration: { Alarms: unknown[] } };
  };
  assert.equal(endpoint.EndpointName, 'planes');
  assert.deepEqual(endpoint.EndpointConfigName, { Get: 'Steps.DeployConfig.EndpointConfigName' });
  assert.equal(endpoint.DeploymentConfig.AutoRollbackConfiguration.Alarms.length, 2);
});

test('the stack itself makes neither model nor endpoint', () => {
  for (const type of ['Model', 'EndpointConfig', 'Endpoint']) template.resourceCountIs(`AWS::SageMaker::${type}`, 0);
});

test('several variants have a model step each, and one that is there already has none', () => {
  const modelPackageArn = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/3';
  const made = synth({
    variants: [
      { model: { modelPackageArn }, variantName: 'New' },
      { model: { modelPackageArn }, variantName: 'Old' },
      { model: { modelName: 'theirs' }, variantName: 'Theirs' },
    ],
  });
  assert.deepEqual(
    made.definition.Steps.map(({ Name }) => Name),
    ['Train', 'DeployModel', 'DeployOldModel', 'DeployConfig', 'Deploy'],
  );
  const { ProductionVariants } = made.step('DeployConfig') as { ProductionVariants: { ModelName: unknown }[] };
  assert.deepEqual(
    ProductionVariants.map(({ ModelName }) => ModelName),
    [{ Get: 'Steps.DeployModel.ModelName' }, { Get: 'Steps.DeployOldModel.ModelName' }, 'theirs'],
  );
});

const PYTHON = join(packageRoot, '.oracle', 'bin', 'python');

const modelPackageArn = 'arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/3';

const KINDS: Readonly<Record<string, Partial<EndpointDeploymentProps>>> = {
  'real time': {
    variants: [
      {
        model: { modelPackageArn },
        instanceType: 'ml.m5.xlarge',
        initialInstanceCount: 2,
        volumeSize: 20,
        containerStartupTimeout: Duration.minutes(5),
        modelDownloadTimeout: Duration.minutes(5),
        acceleratorType: 'ml.eia2.medium',
        inferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-2',
      },
    ],
    shadow: { model: { modelPackageArn }, variantName: 'Shadow' },
    capture: { percentage: 10, csvContentTypes: ['text/csv'] },
    update: {
      strategy: 'Canary',
      terminationWait: Duration.minutes(5),
      maxExecutionTime: Duration.hours(1),
    },
    tags: { project: 'planes' },
  },
  asynchronous: {
    variants: [{ model: { modelPackageArn }, initialInstanceCount: 2 }],
    async: { maxConcurrentInvocations: 2 },
    update: { strategy: 'Rolling', stepSize: 5 },
  },
  serverless: {
    variants: [{ model: { modelPackageArn }, serverless: { provisionedConcurrency: 1 } }],
    update: { strategy: 'Linear' },
  },
};

for (const [kind, props] of Object.entries(KINDS)) {
  const skip = existsSync(PYTHON) ? false : 'botocore is not installed: `npm run oracle` does it';
  test(`${kind}: the requests are right by botocore's service model`, { skip }, () => {
    const input = JSON.stringify({ steps: synth(props).definition.Steps, enumerations: {}, ranges: {} });
    const { status, stdout, stderr } = spawnSync(PYTHON, [join('test', 'oracle', 'lib', 'definitions.py')], {
      cwd: packageRoot,
      encoding: 'utf8',
      input,
    });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, '');
  });
}

const SERVER = `
const weights = require('node:fs').readFileSync('model/weights', 'utf8');
require('node:http').createServer((request, response) => {
  response.end(request.url === '/ping' ? '' : weights);
}).listen(Number(process.env.SAGEMAKER_BIND_TO_PORT), process.env.SCANLINE_BIND_HOST);
`;

test('on the local SageMaker the first execution makes the endpoint, and the next moves it', async (t) => {
  const script = join(temporaryFolder(), 'server.js');
  writeFileSync(script, SERVER);
  const plane = await controlPlane(t, { serve: `exec node ${script}` });
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const { steps } = new EndpointDeployment(stack, 'Deploy', {
    endpointName: 'planes',
    role: Role.fromRoleArn(stack, 'Role', ROLE),
    variants: [{ model: { image: ByocImage.fromUri(stack, 'Image', IMAGE), modelData: 's3://bucket/model.tar.gz' } }],
    update: { rollbackAlarms: false },
  });
  const definition = JSON.stringify(new Pipeline('p', { steps }).definition());
  await pushPipeline(plane.client, { name: 'p', definition, roleArn: ROLE });
  const configs: (string | undefined)[] = [];
  for (const weights of ['one', 'two']) {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'weights'), weights);
    plane.put('s3://bucket/model.tar.gz', '');
    await create({ gzip: true, cwd: folder, file: plane.s3.path('s3://bucket/model.tar.gz') }, ['weights']);
    const { PipelineExecutionStatus, FailureReason } = await endOf(
      plane.client,
      await startExecution(plane.client, 'p', {}),
    );
    assert.equal(PipelineExecutionStatus, 'Succeeded', FailureReason);
    const { Body } = await plane.runtime.send(new InvokeEndpointCommand({ EndpointName: 'planes', Body: 'image' }));
    assert.equal(Buffer.from(Body as Uint8Array).toString('utf8'), weights);
    configs.push((await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'planes' }))).EndpointConfigName);
  }
  assert.equal(new Set(configs).size, 2);
});
