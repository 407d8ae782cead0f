// The script-mode example, synthesised as the `cdk` command does it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveTemplate } from '../../lib/local';
import { pipelinesIn, synthesize } from '../../lib/operations/assembly';
import { check, type StepDefinition } from '../../lib/pipeline';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

test('it is one pipeline of one training, on spot, of the packed train.py', () => {
  const output = temporaryFolder();
  const app =
    'CDK_DEFAULT_REGION=eu-central-1 CDK_DEFAULT_ACCOUNT=111122223333 node dist/examples/script-mode-pytorch/app.js';
  synthesize({ folder: packageRoot, app, output });
  const [pipeline, ...others] = pipelinesIn(output);
  assert.ok(pipeline);
  assert.deepEqual(others, []);
  const properties = resolveTemplate(pipeline.resource.Properties, pipeline.template) as {
    PipelineDefinition: { PipelineDefinitionBody: string };
  };
  const definition = JSON.parse(properties.PipelineDefinition.PipelineDefinitionBody);
  assert.deepEqual(check(definition), []);
  const [{ Name, Type, Arguments }] = definition.Steps as [StepDefinition & { Arguments: Record<string, never> }];
  assert.deepEqual([Name, Type], ['Train', 'Training']);
  const { AlgorithmSpecification, HyperParameters, EnableManagedSpotTraining } = Arguments as unknown as {
    AlgorithmSpecification: { TrainingImage: string };
    HyperParameters: Record<string, string>;
    EnableManagedSpotTraining: boolean;
  };
  assert.match(AlgorithmSpecification.TrainingImage, /763104351884.*pytorch-training:2\.6\.0-gpu-py312$/);
  assert.equal(HyperParameters.sagemaker_program, '"train.py"');
  assert.match(HyperParameters.sagemaker_submit_directory as string, /^"s3:\/\/.+\.gz"$/);
  assert.equal(EnableManagedSpotTraining, true);
});
