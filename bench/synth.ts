// What the constructs cost: synth, in this process, of TrainingStack and of the same stack written by hand with CDK's own constructs
// and one JSON string. They take turns; both make the same resources, which is seen to first. Target: at most 10 % more.
// usage: node dist/bench/synth.js [ROUNDS]
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { App, Duration, IgnoreMode, RemovalPolicy, Stack } from 'aws-cdk-lib';
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
import { TrainingStack } from '../lib';

interface Tokens {
  readonly bucket: string;
  readonly image: string;
  readonly role: string;
  readonly key: string;
}

/** The definition as one text; made once, with placeholders where references stand. */
type Definition = (tokens: Tokens) => string;

const sagemaker = (stack: Stack) =>
  new ServicePrincipal('sagemaker.amazonaws.com', {
    conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
  });

function byHand(app: App, definition: Definition): void {
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
  for (const [noun, resource, ...names] of [
    ['ProcessingJob', 'processing-job', 'Split', 'Evaluate'],
    ['TrainingJob', 'training-job', 'Train'],
    ['Model', 'model', 'RegisterModel'],
  ] as const) {
    allow(
      starts,
      [...calls(noun, 'Create', 'Describe', 'Stop'), 'sagemaker:AddTags'],
      names.flatMap((name) => [name, name.toLowerCase()].map((each) => arn(`${resource}/pipelines-*-${each}*`))),
    );
  }
  allow(starts, calls('ModelPackage', 'Create', 'Describe'), [
    arn('model-package-group/scanline-training'),
    arn('model-package/scanline-training/*'),
  ]);
  allow(starts, ['iam:PassRole'], [jobRole.roleArn], {
    StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' },
  });
  allow(starts, calls('Experiment', 'Create', 'Describe'), [arn('experiment/scanline-training')]);
  allow(starts, calls('Trial', 'Create', 'Describe'), [arn('experiment-trial/*')]);
  allow(starts, ['s3:GetObject'], [bucket.arnForObjects('pipelines/*')]);
  allow(starts, ['s3:ListBucket'], [bucket.bucketArn]);
  allow(starts, ['kms:Decrypt', 'kms:GenerateDataKey'], [key.keyArn]);
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

interface Body {
  readonly PipelineDefinitionBody: unknown;
}

interface Synthesised {
  /** Milliseconds, of the clock and of the processor. */
  readonly clock: number;
  readonly processor: number;
  readonly types: string;
  readonly body: unknown;
}

function synthesize(make: (app: App) => void): Synthesised {
  const outdir = mkdtempSync(join(tmpdir(), 'scanline-synth-'));
  try {
    const start = performance.now();
    const before = process.cpuUsage();
    const app = new App({ outdir, context: { '@aws-cdk/aws-iam:minimizePolicies': true } });
    make(app);
    app.synth();
    const { user, system } = process.cpuUsage(before);
    const clock = performance.now() - start;
    const { Resources } = JSON.parse(readFileSync(join(outdir, 'Test.template.json'), 'utf8'));
    const resources = Object.values(Resources) as { Type: string; Properties?: { PipelineDefinition?: Body } }[];
    const types = resources.map(({ Type }) => Type).sort();
    const definition = resources.find(({ Type }) => Type === 'AWS::SageMaker::Pipeline')?.Properties
      ?.PipelineDefinition;
    return { clock, processor: (user + system) / 1000, types: types.join(), body: definition?.PipelineDefinitionBody };
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** The text of the stack's definition, in which each reference is replaced by one of the four that a person would write. */
function definitionOf({ body }: Synthesised): Definition {
  const parts = (body as { 'Fn::Join': [string, (string | object)[]] })['Fn::Join'][1];
  const token = (part: object): keyof Tokens => {
    const text = JSON.stringify(part);
    if (/Role/.test(text)) return 'role';
    return /Key/.test(text) ? 'key' : /Bucket/.test(text) ? 'bucket' : 'image';
  };
  return (tokens) => parts.map((part) => (typeof part === 'string' ? part : tokens[token(part)])).join('');
}

const rounds = Number(process.argv[2] ?? 30);
const constructs = (app: App) => void new TrainingStack(app, 'Test');
const first = synthesize(constructs);
const definition = definitionOf(first);
const hand = (app: App) => byHand(app, definition);
if (synthesize(hand).types !== first.types) throw new Error(`not the same resources as ${first.types}`);

const taken = { constructs: [] as Synthesised[], hand: [] as Synthesised[] };
for (let round = 0; round < rounds; round++) {
  // each goes first in every other round: what the first leaves to collect is the second's to pay
  if (round % 2 === 0) taken.constructs.push(synthesize(constructs));
  taken.hand.push(synthesize(hand));
  if (round % 2 === 1) taken.constructs.push(synthesize(constructs));
}
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
for (const what of ['clock', 'processor'] as const) {
  const [ours, theirs] = [taken.constructs, taken.hand].map((all) => median(all.map((one) => one[what]))) as [
    number,
    number,
  ];
  process.stdout.write(
    `${what}: TrainingStack ${ours.toFixed(1)} ms, by hand ${theirs.toFixed(1)} ms: ${(ours / theirs).toFixed(2)}x (target: at most 1.10x)\n`,
  );
}
