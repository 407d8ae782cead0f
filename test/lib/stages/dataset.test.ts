// The data set's bucket as a template: one key, TLS, no public, a log; and what of one's own it takes.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Dataset, type DatasetProps } from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

const KEY_ARN = 'arn:aws:kms:us-east-1:111122223333:key/mine';

function synth(
  props: (stack: Stack) => DatasetProps = () => ({}),
  use: (dataset: Dataset, stack: Stack) => void = () => {},
) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const dataset = new Dataset(stack, 'Data', props(stack));
  use(dataset, stack);
  return { stack, dataset, template: Template.fromStack(stack) };
}

/** Properties of the bucket for data, or of that for logs. */
function bucket(template: Template, which: 'DataBucket' | 'DataAccessLogs') {
  const [[id, resource] = []] = Object.entries(template.findResources('AWS::S3::Bucket')).filter(([name]) =>
    name.startsWith(which),
  );
  assert.ok(id !== undefined && resource !== undefined, `no ${which}`);
  return { id, ...resource } as { id: string; DeletionPolicy: string; Properties: Record<string, unknown> };
}

const bare = synth().template;

test('the bucket is encrypted with one key, which is rotated, and both are kept', () => {
  bare.resourceCountIs('AWS::KMS::Key', 1);
  bare.hasResource('AWS::KMS::Key', { DeletionPolicy: 'Retain', Properties: { EnableKeyRotation: true } });
  const [key] = Object.keys(bare.findResources('AWS::KMS::Key'));
  const { DeletionPolicy, Properties } = bucket(bare, 'DataBucket');
  assert.equal(DeletionPolicy, 'Retain');
  assert.deepEqual(Properties.BucketEncryption, {
    ServerSideEncryptionConfiguration: [
      {
        BucketKeyEnabled: true,
        ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: { 'Fn::GetAtt': [key, 'Arn'] } },
      },
    ],
  });
});

for (const which of ['DataBucket', 'DataAccessLogs'] as const) {
  test(`${which} is versioned, closed to the public, without ACLs, and spoken to by TLS 1.2 alone`, () => {
    const { id, Properties } = bucket(bare, which);
    assert.deepEqual(Properties.VersioningConfiguration, { Status: 'Enabled' });
    assert.deepEqual(Properties.PublicAccessBlockConfiguration, {
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    assert.deepEqual(Properties.OwnershipControls, { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] });
    const deny = (Condition: object) => ({ Effect: 'Deny', Action: 's3:*', Principal: { AWS: '*' }, Condition });
    bare.hasResourceProperties('AWS::S3::BucketPolicy', {
      Bucket: { Ref: id },
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike(deny({ Bool: { 'aws:SecureTransport': 'false' } })),
          Match.objectLike(deny({ NumericLessThan: { 's3:TlsVersion': 1.2 } })),
        ]),
      },
    });
  });
}

test('who reads and writes is logged to a bucket that lets in S3 alone, for this bucket alone, for six years', () => {
  const data = bucket(bare, 'DataBucket');
  const logs = bucket(bare, 'DataAccessLogs');
  assert.deepEqual(data.Properties.LoggingConfiguration, {
    DestinationBucketName: { Ref: logs.id },
    LogFilePrefix: 'access/',
  });
  bare.hasResourceProperties('AWS::S3::BucketPolicy', {
    Bucket: { Ref: logs.id },
    PolicyDocument: {
      Statement: Match.arrayWith([
        {
          Effect: 'Allow',
          Action: 's3:PutObject',
          Principal: { Service: 'logging.s3.amazonaws.com' },
          Resource: { 'Fn::Join': ['', [{ 'Fn::GetAtt': [logs.id, 'Arn'] }, '/access/*']] },
          Condition: {
            ArnLike: { 'aws:SourceArn': { 'Fn::GetAtt': [data.id, 'Arn'] } },
            StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } },
          },
        },
      ]),
    },
  });
  const { Rules } = logs.Properties.LifecycleConfiguration as { Rules: { ExpirationInDays: number }[] };
  assert.equal(Rules[0]?.ExpirationInDays, 2192);
});

test('images are never deleted by a rule, only broken uploads and old versions; those at rest become cheaper', () => {
  assert.deepEqual(bucket(bare, 'DataBucket').Properties.LifecycleConfiguration, {
    Rules: [
      {
        Status: 'Enabled',
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
        NoncurrentVersionExpiration: { NoncurrentDays: 90 },
      },
      {
        Status: 'Enabled',
        Prefix: 'raw/',
        Transitions: [{ StorageClass: 'INTELLIGENT_TIERING', TransitionInDays: 30 }],
      },
    ],
  });
});

test('lifecycle rules, a removal policy and a bucket for logs that are given are taken', () => {
  const { template } = synth((stack) => ({
    lifecycleRules: [{ prefix: 'pipelines/', enabled: false, noncurrentVersionsToRetain: 1 }],
    removalPolicy: RemovalPolicy.DESTROY,
    accessLogs: Bucket.fromBucketName(stack, 'Logs', 'my-logs'),
  }));
  template.resourceCountIs('AWS::S3::Bucket', 1);
  const { DeletionPolicy, Properties } = bucket(template, 'DataBucket');
  assert.equal(DeletionPolicy, 'Delete');
  assert.deepEqual(
    (Properties.LifecycleConfiguration as { Rules: object[] }).Rules.map((rule) => Object.entries(rule)[0]),
    [['Prefix', 'pipelines/']],
  );
  assert.deepEqual(Properties.LoggingConfiguration, { DestinationBucketName: 'my-logs', LogFilePrefix: 'access/' });
});

test('an existing key is used, and none is made', () => {
  const { template } = synth((stack) => ({ key: Key.fromKeyArn(stack, 'Key', KEY_ARN) }));
  template.resourceCountIs('AWS::KMS::Key', 0);
  assert.match(JSON.stringify(bucket(template, 'DataBucket').Properties.BucketEncryption), new RegExp(KEY_ARN));
});

test('an existing bucket is used with its own key, and nothing is made', () => {
  const { dataset, template } = synth((stack) => ({
    prefix: 'scans',
    bucket: Bucket.fromBucketAttributes(stack, 'Bucket', {
      bucketName: 'mine',
      encryptionKey: Key.fromKeyArn(stack, 'Key', KEY_ARN),
    }),
  }));
  assert.deepEqual(template.toJSON().Resources, undefined);
  assert.equal(dataset.uri, 's3://mine/scans');
  assert.equal(dataset.key.keyArn, KEY_ARN);
});

test('an existing bucket whose key is not known gets one made for the volumes and the outputs', () => {
  const { template } = synth((stack) => ({ bucket: Bucket.fromBucketName(stack, 'Bucket', 'mine') }));
  template.resourceCountIs('AWS::KMS::Key', 1);
  template.resourceCountIs('AWS::S3::Bucket', 0);
});

test('an existing role is let in by the policies of the bucket and the key, and gets none itself', () => {
  const arn = 'arn:aws:iam::111122223333:role/mine';
  const { template } = synth(undefined, (dataset, stack) =>
    dataset.allowExistingRole(Role.fromRoleArn(stack, 'Role', arn)),
  );
  template.resourceCountIs('AWS::IAM::Policy', 0);
  const statement = (Action: unknown) => Match.objectLike({ Effect: 'Allow', Principal: { AWS: arn }, Action });
  template.hasResourceProperties('AWS::S3::BucketPolicy', {
    PolicyDocument: { Statement: Match.arrayWith([statement(Match.arrayWith(['s3:GetObject', 's3:PutObject']))]) },
  });
  template.hasResourceProperties('AWS::KMS::Key', {
    KeyPolicy: { Statement: Match.arrayWith([statement(Match.arrayWith(['kms:Decrypt', 'kms:GenerateDataKey']))]) },
  });
});

test('a folder is unpacked to where the raw images lie, and nothing is deleted by it', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'axial'));
  writeFileSync(join(folder, 'axial', 'a.png'), '');
  const { template } = synth(undefined, (dataset) => dataset.upload(folder));
  template.hasResourceProperties('Custom::CDKBucketDeployment', {
    DestinationBucketName: { Ref: bucket(template, 'DataBucket').id },
    DestinationBucketKeyPrefix: 'raw',
    Prune: false,
    RetainOnDelete: true,
  });
});

/** What a role is allowed of S3 by a grant. */
function allowedOfS3(grant: 'grantRead' | 'grantUpload'): string[] {
  const { template } = synth(undefined, (dataset, stack) =>
    dataset[grant](new Role(stack, 'Scanner', { assumedBy: new ServicePrincipal('ec2.amazonaws.com') })),
  );
  const [policy] = Object.values(template.findResources('AWS::IAM::Policy'));
  const statements = policy?.Properties.PolicyDocument.Statement as { Action: string | string[]; Resource: unknown }[];
  const ofS3 = statements.filter(({ Action }) => JSON.stringify(Action).includes('s3:'));
  assert.match(JSON.stringify(ofS3.map(({ Resource }) => Resource)), /\/raw\/\*/);
  assert.ok(statements.some(({ Action }) => JSON.stringify(Action).includes('kms:')));
  return ofS3.flatMap(({ Action }) => Action);
}

test('who delivers images may add some, and neither read nor delete any', () => {
  const allowed = allowedOfS3('grantUpload').join();
  assert.match(allowed, /s3:PutObject/);
  assert.doesNotMatch(allowed, /s3:GetObject|s3:Delete/);
});

test('who reads images may not change any', () => {
  const allowed = allowedOfS3('grantRead').join();
  assert.match(allowed, /s3:GetObject/);
  assert.doesNotMatch(allowed, /s3:Put|s3:Delete/);
});

test('how many objects there are, and how many bytes of a class of storage, are metrics of its bucket', () => {
  const { dataset, stack } = synth();
  const of = (metric: Metric) => {
    const { namespace, metricName, dimensions, statistic, period } = metric.toMetricConfig().metricStat ?? {};
    return stack.resolve([namespace, metricName, statistic, period?.toDays(), dimensions?.map(({ value }) => value)]);
  };
  const name = stack.resolve(dataset.bucket.bucketName);
  assert.deepEqual(of(dataset.metricObjects()), ['AWS/S3', 'NumberOfObjects', 'Average', 1, [name, 'AllStorageTypes']]);
  assert.deepEqual(of(dataset.metricSize('IntelligentTieringFAStorage', { period: Duration.days(7) })), [
    'AWS/S3',
    'BucketSizeBytes',
    'Average',
    7,
    [name, 'IntelligentTieringFAStorage'],
  ]);
});
