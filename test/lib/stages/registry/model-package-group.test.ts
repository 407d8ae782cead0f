// A group that other accounts may deploy from: what each policy lets them do, and whose policy stays as it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { AccountPrincipal, Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { ByocImage, ModelPackageGroup, PipelineError } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { temporaryFolder } from '../../../training/temporary-folder';

/** Whatever a template holds. */
type Json = ReturnType<Stack['resolve']>;

const ACCOUNT = '444455556666';
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;

const newStack = () => new Stack(new App({ outdir: temporaryFolder() }), 'Test');

function shared(stack: Stack): (type: string) => Json {
  const key = new Key(stack, 'Key');
  new ModelPackageGroup(stack, 'Group', { groupName: 'Planes', description: 'd' }).shareWith([ACCOUNT], {
    bucket: new Bucket(stack, 'Bucket', { bucketName: 'data' }),
    modelKeys: 'pipelines/*/training/*',
    key,
    images: [ByocImage.fromEcr(stack, 'Image', new Repository(stack, 'Repository'))],
  });
  const template = Template.fromStack(stack);
  return (type) => {
    const [found] = Object.values(template.findResources(type));
    return resolveTemplate(found?.Properties, template.toJSON());
  };
}

/** What a policy allows the other account. */
function theirs(statements: Json[]): Json[] {
  return statements.filter(({ Principal }) => Principal?.AWS === ROOT);
}

test('other accounts may read the group, and make models of its versions', () => {
  const group = shared(newStack())('AWS::SageMaker::ModelPackageGroup');
  assert.deepEqual([group.ModelPackageGroupName, group.ModelPackageGroupDescription], ['Planes', 'd']);
  const arn = (resource: string) => `arn:aws:sagemaker:us-east-1:000000000000:${resource}`;
  assert.deepEqual(
    theirs(group.ModelPackageGroupPolicy.Statement).map(({ Action, Resource }) => [Action, Resource]),
    [
      ['sagemaker:DescribeModelPackageGroup', [arn('model-package-group/Planes'), arn('model-package-group/planes')]],
      [
        ['sagemaker:DescribeModelPackage', 'sagemaker:ListModelPackages', 'sagemaker:CreateModel'],
        [arn('model-package/Planes/*'), arn('model-package/planes/*')],
      ],
    ],
  );
});

test('they read the models in the bucket, and not the images that lie beside them', () => {
  const [statement, ...more] = theirs(shared(newStack())('AWS::S3::BucketPolicy').PolicyDocument.Statement);
  assert.deepEqual(
    [statement.Action, statement.Resource],
    ['s3:GetObject', 'arn:aws:s3:::data/pipelines/*/training/*'],
  );
  assert.equal(more.length, 0);
});

test('they decrypt by way of S3 and SageMaker alone', () => {
  const [statement] = theirs(shared(newStack())('AWS::KMS::Key').KeyPolicy.Statement);
  assert.deepEqual(statement.Action, ['kms:Decrypt', 'kms:DescribeKey']);
  assert.deepEqual(statement.Condition.StringEquals['kms:ViaService'], [
    's3.us-east-1.amazonaws.com',
    'sagemaker.us-east-1.amazonaws.com',
  ]);
});

test('they pull the image', () => {
  const [statement] = theirs(shared(newStack())('AWS::ECR::Repository').RepositoryPolicyText.Statement);
  assert.deepEqual(statement.Action, [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:GetDownloadUrlForLayer',
  ]);
});

test('what is ours is let be used without a warning; what is not is named in one', () => {
  const ours = newStack();
  shared(ours);
  const warnings = (stack: Stack) =>
    Annotations.fromStack(stack)
      .findWarning('*', Match.stringLikeRegexp("is not this app's"))
      .map(({ entry }) => /^the (bucket|key|repository)/.exec(String(entry.data))?.[1]);
  assert.deepEqual(warnings(ours), []);

  const imported = newStack();
  new ModelPackageGroup(imported, 'Group', { groupName: 'planes' }).shareWith([ACCOUNT], {
    bucket: Bucket.fromBucketName(imported, 'Bucket', 'theirs'),
    modelKeys: '*',
    key: Key.fromKeyArn(imported, 'Key', 'arn:aws:kms:us-east-1:111122223333:key/theirs'),
    images: [ByocImage.fromUri(imported, 'Image', 'registry.test/other:1')],
  });
  assert.deepEqual(warnings(imported), ['bucket', 'key', 'repository']);
});

for (const [what, make] of [
  ["groupName is 'my_group'", (stack: Stack) => new ModelPackageGroup(stack, 'Group', { groupName: 'my_group' })],
  ["accounts is '12'", (stack: Stack) => share(stack, ['12'])],
  ['accounts is none', (stack: Stack) => share(stack, [])],
] as const) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => make(newStack()),
      (error: unknown) => {
        assert.ok(error instanceof PipelineError);
        const [{ where, problem } = { where: '', problem: '' }] = error.findings;
        assert.equal(where, 'model package group Group at Test/Group');
        assert.ok(problem.startsWith(what), problem);
        return true;
      },
    );
  });
}

function share(stack: Stack, accounts: readonly string[]): void {
  const bucket = new Bucket(stack, 'Bucket');
  new ModelPackageGroup(stack, 'Group', { groupName: 'planes' }).shareWith(accounts, {
    bucket,
    modelKeys: '*',
    images: [],
  });
}

test('people may be let see, register and approve versions, each without the other', () => {
  const stack = newStack();
  const group = new ModelPackageGroup(stack, 'Group', { groupName: 'planes' });
  const may = (grant: 'grantRead' | 'grantRegister' | 'grantApprove') => {
    const role = new Role(stack, grant, { assumedBy: new AccountPrincipal(ACCOUNT) });
    const { Action, Resource } = stack.resolve(group[grant](role).principalStatements[0]?.toStatementJson());
    assert.match(JSON.stringify(Resource), /:model-package\/planes\/\*/);
    return (Action as string[]).filter((action) => /Create|Update/.test(action));
  };
  assert.deepEqual(may('grantRead'), []);
  assert.deepEqual(may('grantRegister'), ['sagemaker:CreateModelPackage']);
  assert.deepEqual(may('grantApprove'), ['sagemaker:UpdateModelPackage']);
});
