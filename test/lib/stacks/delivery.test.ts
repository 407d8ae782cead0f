// A stack that CodePipeline trains, and whose models another account may deploy: what AWS's linter says of it, and what moto's CodePipeline takes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Artifact, Pipeline, PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { S3SourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwaitedExecution, ByocImage, ModelPackageGroup, TrainingStack } from '../../../lib';
import { resolveTemplate } from '../../../lib/local/executions/cloudformation';
import { packageRoot } from '../../../training/native/cache';
import { skipMoto, startMoto } from '../../moto';
import { temporaryFolder } from '../../training/temporary-folder';

const BIN = join(packageRoot, '.oracle', 'bin');

function delivered(): TrainingStack {
  const context = { '@aws-cdk/aws-iam:minimizePolicies': true };
  const env = { account: '111122223333', region: 'eu-central-1' };
  const imageUri = '111122223333.dkr.ecr.eu-central-1.amazonaws.com/scanline/byoc:1';
  const app = new App({ outdir: temporaryFolder(), context });
  const stack = new TrainingStack(app, 'Test', { pipelineName: 'planes', imageUri, env });
  const { bucket, key } = stack.dataset;
  const run = new AwaitedExecution(stack, 'Run', { pipeline: stack.pipeline, key });
  const code = new Bucket(stack, 'Code', { versioned: true });
  const source = new S3SourceAction({
    actionName: 'S3',
    bucket: code,
    bucketKey: 'app.zip',
    output: new Artifact('Source'),
  });
  new Pipeline(stack, 'Delivery', {
    pipelineType: PipelineType.V2,
    stages: [
      { stageName: 'Source', actions: [source] },
      { stageName: 'Train', actions: [run.codePipelineAction('Train', { input: { commit: '#{Source.ETag}' } })] },
    ],
  });
  new ModelPackageGroup(stack, 'Shared', { groupName: 'shared-planes' }).shareWith(['444455556666'], {
    bucket,
    key,
    modelKeys: 'pipelines/*/training/*',
    images: [ByocImage.fromUri(stack, 'Serving', imageUri)],
  });
  return stack;
}

const skip = existsSync(join(BIN, 'cfn-lint')) ? false : 'cfn-lint is not installed: `npm run oracle` does it';

test('its template has neither errors nor warnings', { skip }, () => {
  const { directory } = (delivered().node.root as App).synth();
  // W3005: CDK's functions and state machines depend on their role by name, beside the reference that says so already
  const options = ['--non-zero-exit-code', 'warning', '--ignore-checks', 'W3005', '--'];
  const { status, stdout, stderr } = spawnSync(
    join(BIN, 'cfn-lint'),
    [...options, join(directory, 'Test.template.json')],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test("moto's CodePipeline takes its stages, that of the execution among them", { skip: skipMoto }, async (context) => {
  const endpoint = await startMoto(context);
  const template = Template.fromStack(delivered());
  const [pipeline] = Object.values(template.findResources('AWS::CodePipeline::Pipeline'));
  const stages = resolveTemplate(pipeline?.Properties.Stages, template.toJSON());
  const { status, stdout, stderr } = spawnSync(join(BIN, 'python'), ['test/oracle/lib/code_pipeline.py', endpoint], {
    cwd: packageRoot,
    encoding: 'utf8',
    input: JSON.stringify(stages),
  });
  assert.equal(status, 0, stderr);
  const train = JSON.parse(stdout)[1];
  assert.deepEqual([train.name, train.actions[0].actionTypeId.provider], ['Train', 'StepFunctions']);
  assert.equal(train.actions[0].configuration.Input, '{"commit":"#{Source.ETag}"}');
});
