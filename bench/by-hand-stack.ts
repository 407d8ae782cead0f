// TrainingStack written by hand with CDK's own constructs, and the definition as one JSON string: what bench:synth holds it against.
// test/bench/by-hand-stack.test.ts sees to it that both make the same template.
import { dirname } from 'node:path';
import { type App, Duration, IgnoreMode, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import { CfnModelPackageGroup, CfnPipeline } from 'aws-cdk-lib/aws-sagemaker';

/** What of the definition is known only at deployment. */
export interface Tokens {
  readonly bucket: string;
  readonly image: string;
  readonly role: string;
  readonly key: string;
}

/** The definition as one text; made once, with placeholders where references stand. */
export type Definition = (tokens: Tokens) => string;

interface Resource {
  readonly Type: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** As CDK writes it. */
export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
}

/** The definition in the template of a TrainingStack, each reference in it replaced by one of the four that a person would write. */
export function definitionIn({ Resources }: Template): Definition {
  const [pipeline] = Object.values(Resources).filter(({ Type }) => Type === 'AWS::SageMaker::Pipeline');
  const { PipelineDefinitionBody } = (pipeline as Resource).Properties.PipelineDefinition as {
    readonly PipelineDefinitionBody: { readonly 'Fn::Join': readonly [string, readonly (string | object)[]] };
  };
  const [, parts] = PipelineDefinitionBody['Fn::Join'];
  const token = (part: object): keyof Tokens => {
    const text = JSON.stringify(part);
    if (/Role/.test(text)) return 'role';
    return /Key/.test(text) ? 'key' : /Bucket/.test(text) ? 'bucket' : 'image';
  };
  return (tokens) => parts.map((part) => (typeof part === 'string' ? part : tokens[token(part)])).join('');
}

const sagemaker = (stack: Stack) =>
  new ServicePrincipal('sagemaker.amazonaws.com', {
    conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
  });

export function byHand(app: App, definition: Definition): void {
  const stack = new Stack(app, 'Test');
  const removalPolicy = RemovalPolicy.RETAIN;
  const key = new Key(stack, 'Key', { description: 'Images and models', enableKeyRotation: true, removalPolicy });
  const closed = {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    versioned: true,
    removalPolicy,
  };
  const tidy = {
    abortIncompleteMultipartUploadAfter: Duration.days(7),
    noncurrentVersionExpiration: Duration.days(90),
  };
  const bucket = new Bucket(stack, 'Bucket', {
    ...closed,
    encryption: BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: true,
    lifecycleRules: [
      tidy,
      {
        prefix: 'raw/',
        transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(30) }],
      },
    ],
  });
  const logs = new Bucket(stack, 'Logs', {
    ...closed,
    encryption: BucketEncryption.S3_MANAGED,
    lifecycleRules: [
      {
        ...tidy,
        transitions: [{ storageClass: StorageClass.INFREQUENT_ACCESS, transitionAfter: Duration.days(90) }],
        expiration: Duration.days(2192),
      },
    ],
  });
  (bucket.node.defaultChild as CfnBucket).loggingConfiguration = {
    destinationBucketName: logs.bucketName,
    logFilePrefix: 'access/',
  };
  logs.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('logging.s3.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [logs.arnForObjects('access/*')],
      conditions: {
        ArnLike: { 'aws:SourceArn': bucket.bucketArn },
        StringEquals: { 'aws:SourceAccount': stack.account },
      },
    }),
  );
  const image = new DockerImageAsset(stack, 'Image', {
    directory: dirname(require.resolve('scanline-sagemaker/package.json')),
    file: 'containers/byoc/Dockerfile',
    target: 'byoc',
    buildArgs: { TENSORFLOW: 'gpu' },
    platform: Platform.LINUX_AMD64,
    ignoreMode: IgnoreMode.DOCKER,
  });
  const arn = (resource: string, service = 'sagemaker') => stack.formatArn({ service, resource });

  const jobRole = new Role(stack, 'JobRole', { assumedBy: sagemaker(stack), description: 'jobs' });
  const jobs = new ManagedPolicy(stack, 'JobPolicy', { roles: [jobRole], description: 'jobs' });
  const allow = (policy: ManagedPolicy, actions: string[], resources: string[], conditions?: Record<string, unknown>) =>
    policy.addStatements(new PolicyStatement({ actions, resources, ...(conditions && { conditions }) }));
  const objects = ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];
  const forAws = { Bool: { 'kms:GrantIsForAWSResource': 'true' } };
  const namespace = { StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' } };
  const logging = ['CreateLogGroup', 'CreateLogStream', 'PutLogEvents', 'DescribeLogStreams'].map((c) => `logs:${c}`);
  allow(jobs, ['s3:ListBucket', 's3:GetBucketLocation'], [bucket.bucketArn]);
  allow(jobs, objects, [bucket.arnForObjects('*')]);
  key.grantEncryptDecrypt(jobs);
  allow(jobs, ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'], [key.keyArn]);
  allow(jobs, ['kms:CreateGrant'], [key.keyArn], forAws);
  allow(jobs, logging, [arn('log-group:/aws/sagemaker/*', 'logs')]);
  allow(jobs, ['cloudwatch:PutMetricData'], ['*'], namespace);
  image.repository.grantPull(jobs);

  const pipelineRole = new Role(stack, 'PipelineRole', { assumedBy: sagemaker(stack), description: 'the pipeline' });
  const starts = new ManagedPolicy(stack, 'PipelinePolicy', { roles: [pipelineRole], description: 'the pipeline' });
  const calls = (noun: string, ...verbs: string[]) => verbs.map((verb) => `sagemaker:${verb}${noun}`);
  const addTags = 'sagemaker:AddTags';
  for (const [noun, resource, verbs, ...names] of [
    ['ProcessingJob', 'processing-job', ['Create', 'Describe', 'Stop'], 'Split', 'Evaluate'],
    ['TrainingJob', 'training-job', ['Create', 'Describe', 'Stop'], 'Train'],
    ['Model', 'model', ['Create', 'Describe'], 'CreateModel'],
  ] as const) {
    allow(
      starts,
      [...calls(noun, ...verbs), addTags],
      names.flatMap((name) => [name, name.toLowerCase()].map((each) => arn(`${resource}/pipelines-*-${each}*`))),
    );
  }
  allow(
    starts,
    [...calls('ModelPackage', 'Create', 'Describe'), addTags],
    [arn('model-package-group/scanline-training'), arn('model-package/scanline-training/*')],
  );
  allow(starts, ['iam:PassRole'], [jobRole.roleArn], {
    StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
  });
  allow(starts, [...calls('Experiment', 'Create', 'Describe'), addTags], [arn('experiment/scanline-training')]);
  allow(
    starts,
    [
      ...calls('Trial', 'Create', 'Describe'),
      ...calls('TrialComponent', 'Create', 'Describe', 'Update', 'Associate'),
      addTags,
    ],
    [arn('experiment-trial/*'), arn('experiment-trial-component/pipelines-*')],
  );
  allow(starts, ['s3:GetObject'], [bucket.arnForObjects('pipelines/*')]);
  allow(starts, ['kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'], [key.keyArn]);
  allow(starts, ['kms:CreateGrant'], [key.keyArn], forAws);
  image.repository.grantPull(starts);

  new CfnModelPackageGroup(stack, 'Group', { modelPackageGroupName: 'scanline-training' });
  new CfnPipeline(stack, 'Pipeline', {
    pipelineName: 'scanline-training',
    roleArn: pipelineRole.roleArn,
    pipelineDefinition: {
      PipelineDefinitionBody: definition({
        bucket: bucket.bucketName,
        image: image.imageUri,
        role: jobRole.roleArn,
        key: key.keyArn,
      }),
    },
  });
}
