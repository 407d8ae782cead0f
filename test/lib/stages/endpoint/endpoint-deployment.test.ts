// An endpoint as the last steps of a pipeline: checked, allowed to the pipeline's role, and right by botocore's service model.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
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
import type { StepDefinition } from '../../../../lib/pipeline';
import { temporaryFolder } from '../../../training/temporary-folder';

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
