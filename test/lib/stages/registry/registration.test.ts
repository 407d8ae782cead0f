// The registry stage: what a version says of itself, in which group it is, and what is refused of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  Evaluation,
  ModelPackageGroup,
  PipelineError,
  Registration,
  type RegistrationProps,
} from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

function register(
  props: (stack: Stack) => Partial<RegistrationProps> = () => ({ groupName: 'planes' }),
  network?: 'densenet121' | 'segresnet',
) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/mine');
  const training = new ByocTraining(stack, 'Train', {
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    image: network
      ? ByocImage.scanlineFromUri(stack, 'Image', 'registry.test/scanline:1')
      : ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'),
    role,
    ...(network && { hyperparameters: { model_name: network } }),
  });
  const evaluation = new Evaluation(stack, 'Evaluate', { training, test: 's3://b/test', output: 's3://b/e', role });
  const registration = new Registration(stack, 'Register', { training, evaluation, role, ...props(stack) });
  const version = JSON.parse(JSON.stringify(registration.step.toDefinition())).Arguments;
  return { registration, version };
}

test('a version waits for approval, in a group that is made for it', () => {
  const { registration, version } = register();
  assert.deepEqual([version.ModelPackageGroupName, version.ModelApprovalStatus], ['planes', 'PendingManualApproval']);
  assert.equal(registration.group.groupName, 'planes');
  assert.deepEqual([version.CustomerMetadataProperties, version.DriftCheckBaselines], [undefined, undefined]);
});

test('the step that makes the model is called CreateModel, unless it is given a name', () => {
  assert.equal(register().registration.modelStep.name, 'CreateModel');
  const named = register(() => ({ groupName: 'planes', modelStepName: 'MakeChampion' }));
  assert.equal(named.registration.modelStep.name, 'MakeChampion');
});

test('a version goes into a group that is there already', () => {
  const { registration, version } = register((stack) => ({
    group: new ModelPackageGroup(stack, 'Theirs', { groupName: 'theirs' }),
  }));
  assert.equal(version.ModelPackageGroupName, 'theirs');
  assert.equal(registration.node.tryFindChild('Group'), undefined);
});

test('metadata, a description, more metrics and baselines of drift come to the version', () => {
  const S3Uri = 's3://b/bias.json';
  const { version } = register(() => ({
    groupName: 'planes',
    versionDescription: 'three planes',
    metadata: { commit: 'abc' },
    modelMetrics: { Bias: { Report: { ContentType: 'application/json', S3Uri } } },
    driftBaselines: { ModelQuality: { Statistics: { ContentType: 'application/json', S3Uri } } },
  }));
  assert.equal(version.ModelPackageDescription, 'three planes');
  assert.deepEqual(version.CustomerMetadataProperties, { commit: 'abc' });
  assert.deepEqual(Object.keys(version.ModelMetrics), ['ModelQuality', 'Bias']);
  assert.equal(version.DriftCheckBaselines.ModelQuality.Statistics.S3Uri, S3Uri);
});

test('what a version is asked and answers follows the network, unless the task is given for an image of which nothing is known', () => {
  const typesOf = (task: RegistrationProps['task'], network?: 'densenet121' | 'segresnet') =>
    register(() => ({ groupName: 'planes', ...(task && { task }) }), network).version.InferenceSpecification
      .SupportedContentTypes[0];
  assert.deepEqual(
    [typesOf(undefined, 'segresnet'), typesOf(undefined, 'densenet121'), typesOf(undefined), typesOf('segmentation')],
    ['application/x-nifti', 'image/png', 'image/png', 'application/x-nifti'],
  );
  assert.throws(
    () => typesOf('classification', 'segresnet'),
    /step Register at Test\/Register: task is classification, and the training's network is for segmentation.*[\s\S]*leave task out/,
  );
});

const group = (stack: Stack) => new ModelPackageGroup(stack, 'Theirs', { groupName: 'theirs' });

for (const [problem, props] of [
  ['group is with neither of group and groupName', () => ({})],
  ['group is with both of group and groupName', (stack: Stack) => ({ groupName: 'planes', group: group(stack) })],
  ['description is given with group', (stack: Stack) => ({ group: group(stack), description: 'd' })],
  ["task is 'detection'", () => ({ groupName: 'planes', task: 'detection' as never })],
  ["instanceTypes[1] is 'g5.xlarge'", () => ({ groupName: 'p', instanceTypes: ['ml.m5.xlarge', 'g5.xlarge'] })],
  ["metadata.note is '#1'", () => ({ groupName: 'planes', metadata: { note: '#1' } })],
  [
    'metadata is 51 texts',
    () => ({ groupName: 'planes', metadata: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`m${i}`, ''])) }),
  ],
] as const) {
  test(`refused: ${problem}`, () => {
    assert.throws(
      () => register(props),
      (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        assert.deepEqual(
          error.findings.map((finding) => finding.problem.replace(/; allowed.*/s, '')),
          [problem],
        );
        return true;
      },
    );
  });
}
