// Images: where each comes from, and by which commands its jobs run on a machine without containers.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { ByocImage, FailStep, SageMakerPipeline, TrainingStack } from '../../../lib';
import { LOCAL_IMAGES_METADATA } from '../../../lib/stages/sagemaker-pipeline';
import { temporaryFolder } from '../../training/temporary-folder';

function synth(makeImage: (stack: Stack) => ByocImage) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
  const image = makeImage(stack);
  image.grantPull(role);
  new SageMakerPipeline(stack, 'Pipeline', {
    pipelineName: 'p',
    role,
    steps: [new FailStep('Stop', { errorMessage: 'no' })],
    images: [image],
  });
  const template = Template.fromStack(stack);
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  return { stack, image, template, local: pipeline?.Metadata?.[LOCAL_IMAGES_METADATA] };
}

test("Scanline's own image runs locally by the commands in this package", () => {
  const { local, image } = synth((stack) => ByocImage.scanline(stack, 'Image'));
  assert.equal(local[0].Commands, 'scanline-sagemaker/containers/byoc');
  assert.equal(image.isScanline, true);
});

test('the image of script mode is a stage of the same Dockerfile, and runs locally by commands of its own', () => {
  const { local, image, stack } = synth((stack) => ByocImage.scriptMode(stack, 'Image', 'cpu'));
  assert.equal(local[0].Commands, 'scanline-sagemaker/containers/script-mode');
  assert.equal(image.isScanline, false);
  const { directory } = (stack.node.root as App).synth();
  const { dockerImages } = JSON.parse(readFileSync(join(directory, 'Test.assets.json'), 'utf8'));
  const [{ source: asset }] = Object.values(dockerImages) as [{ source: Record<string, string> }];
  assert.deepEqual([asset.dockerFile, asset.dockerBuildTarget], ['containers/byoc/Dockerfile', 'script-mode']);
});

test('an image of a folder runs locally by the commands in it', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
  const { local, image } = synth((stack) => ByocImage.fromFolder(stack, 'Image', folder));
  assert.equal(local[0].Commands, folder);
  assert.equal(image.isScanline, false);
});

test('an image of a registry has no local commands', () => {
  assert.equal(synth((stack) => ByocImage.fromUri(stack, 'Image', 'registry.test/a:1')).local, undefined);
});

test('an image of an ECR repository is named by its tag, and may be pulled by whom it is granted to', () => {
  const { stack, image, template } = synth((stack) =>
    ByocImage.fromEcr(stack, 'Image', new Repository(stack, 'Repository'), 'v2'),
  );
  assert.match(JSON.stringify(stack.resolve(image.uri)), /:v2"/);
  assert.match(JSON.stringify(template.findResources('AWS::IAM::Policy')), /ecr:BatchGetImage/);
});

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

test('an image of an ECR repository may be named by its digest', () => {
  const { stack, image } = synth((stack) =>
    ByocImage.fromEcr(stack, 'Image', new Repository(stack, 'Repository'), DIGEST),
  );
  assert.match(JSON.stringify(stack.resolve(image.uri)), new RegExp(`@${DIGEST}"`));
});

test("Scanline's own image that was pushed is its own, runs locally by its commands, and is not built again", () => {
  const uri = `123456789012.dkr.ecr.eu-central-1.amazonaws.com/scanline/byoc@${DIGEST}`;
  const { stack, local, image } = synth((stack) => ByocImage.scanlineFromUri(stack, 'Image', uri));
  assert.equal(image.isScanline, true);
  assert.deepEqual(local, [{ Image: uri, Commands: 'scanline-sagemaker/containers/byoc' }]);
  assert.deepEqual(
    stack.node.findAll().filter(({ node }) => node.id.endsWith('Asset')),
    [],
  );
});

test('a training stack with the URI of a pushed image builds none, and its steps name that image', () => {
  const uri = `123456789012.dkr.ecr.eu-central-1.amazonaws.com/scanline/byoc@${DIGEST}`;
  const stack = new TrainingStack(new App({ outdir: temporaryFolder() }), 'Training', { imageUri: uri });
  const [pipeline] = Object.values(Template.fromStack(stack).findResources('AWS::SageMaker::Pipeline'));
  const images = JSON.stringify(pipeline).match(/[^"\\]*scanline\/byoc@sha256:\w+/g);
  assert.deepEqual([...new Set(images)], [uri]);
});
