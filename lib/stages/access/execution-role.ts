// The two roles of a pipeline, each with no more than it needs: one that starts the jobs, and one that the jobs work with.
import { Stack, Token } from 'aws-cdk-lib';
import { ArnPrincipal, type IPrincipal, type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey, Key } from 'aws-cdk-lib/aws-kms';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { allSteps, PipelineError, type Step, type StepDefinition } from '../../pipeline';
import type { ByocImage } from '../byoc-image';
import { bothCases, endpointPermissions } from './endpoint-permissions';
import { ManagedRole } from './managed-role';
import { modelPackages } from './model-package-permissions';

const SAGEMAKER = 'sagemaker.amazonaws.com';

/** What a role may do with the objects of a bucket as the storage of jobs; nothing is deleted by a job. */
const BUCKET_ACTIONS = ['s3:ListBucket', 's3:GetBucketLocation'];
const OBJECT_ACTIONS = ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'];
const KEY_ACTIONS = ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'];

/** Volumes are encrypted by a grant that SageMaker passes on to EC2, and to nobody else. */
export const GRANT_FOR_AWS = { Bool: { 'kms:GrantIsForAWSResource': 'true' } };

/** A role that SageMaker works with, or what works for it. */
export abstract class SageMakerRole extends ManagedRole {
  /** @param assumedBy @default SageMaker */
  constructor(scope: Construct, id: string, description: string, assumedBy?: IPrincipal) {
    super(scope, id, { service: SAGEMAKER, description, ...(assumedBy && { assumedBy }) });
  }

  /** What every container needs: its image, its logs and its metrics. */
  protected allowContainers(images: readonly ByocImage[]): void {
    const logs = Stack.of(this).formatArn({ service: 'logs', resource: 'log-group:/aws/sagemaker/*' });
    this.allow(
      ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
      [logs],
      {
        reason: 'SageMaker names the log groups and the streams of its jobs itself, all below /aws/sagemaker/',
      },
    );
    this.allow(['cloudwatch:PutMetricData'], ['*'], {
      reason:
        'cloudwatch:PutMetricData, restricted to the namespace /aws/sagemaker/ instead, and ecr:GetAuthorizationToken take no resource',
      conditions: { StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' } },
    });
    for (const image of images) {
      image.grantPull(this.policy);
      this.allowPullByUri(image.uri);
    }
  }

  /** An image that is known by its URI alone, as AWS's own are: from ECR, of any account. */
  private allowPullByUri(uri: string): void {
    const [, account, region, repository] = ECR_URI.exec(Token.isUnresolved(uri) ? '' : uri) ?? [];
    if (!account || !region || !repository) return;
    const arn = Stack.of(this).formatArn({ service: 'ecr', account, region, resource: `repository/${repository}` });
    this.allow(['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'], [arn]);
    this.allow(['ecr:GetAuthorizationToken'], ['*']);
  }

  protected arn(resource: string): string {
    return Stack.of(this).formatArn({ service: 'sagemaker', resource });
  }
}

/** What jobs work with. */
export interface JobRoleProps {
  /** Holds the data, and takes what the jobs write. */
  readonly bucket: IBucket;
  /** Of the bucket and of the volumes. */
  readonly key: IKey;
  /** What the jobs run. */
  readonly images: readonly ByocImage[];
}

/**
 * The role that jobs and models work with: the objects of one bucket, one key, their images, their logs and metrics.
 *
 * After https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateTrainingJob and CreateModel).
 */
export class JobRole extends SageMakerRole {
  constructor(scope: Construct, id: string, props: JobRoleProps) {
    super(scope, id, 'SageMaker jobs: the objects of one bucket, one key, their image, their logs');
    const { bucket, key, images } = props;
    this.allow(BUCKET_ACTIONS, [bucket.bucketArn]);
    this.allow(OBJECT_ACTIONS, [bucket.arnForObjects('*')], {
      reason: 'the objects of one bucket, which holds nothing but the data and the models of this pipeline',
    });
    this.allow(KEY_ACTIONS, [key.keyArn]);
    this.allow(['kms:CreateGrant'], [key.keyArn], { conditions: GRANT_FOR_AWS });
    this.allowContainers(images);
  }
}

/** ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY, with a tag or a digest behind it. */
const ECR_URI = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)/;

interface StepPermissions {
  /** Of ARNs: what stands before the name. */
  readonly resource: string;
  /** What the call is named after, e.g. TrainingJob of CreateTrainingJob. */
  readonly noun: string;
  /** Whether it runs, and can thus be stopped. */
  readonly runs: boolean;
  /** Calls that a step makes beside creating, describing and stopping. @default none */
  readonly also?: readonly string[];
  /** SageMaker cuts the name of the job so short that of the step's nothing is sure to be in it. @default false */
  readonly cut?: boolean;
}

const PROCESSING: StepPermissions = { resource: 'processing-job', noun: 'ProcessingJob', runs: true };

/** By the type of a step, what SageMaker makes for it under a name that begins with `pipelines-`. */
const MADE_BY: Readonly<Record<string, StepPermissions>> = {
  Processing: PROCESSING,
  QualityCheck: PROCESSING,
  ClarifyCheck: PROCESSING,
  Training: { resource: 'training-job', noun: 'TrainingJob', runs: true },
  // 32 characters, for the execution, the step and random letters; the list is for the best models
  Tuning: {
    resource: 'hyper-parameter-tuning-job',
    noun: 'HyperParameterTuningJob',
    runs: true,
    also: ['ListTrainingJobsForHyperParameterTuningJob'],
    cut: true,
  },
  Transform: { resource: 'transform-job', noun: 'TransformJob', runs: true },
  Model: { resource: 'model', noun: 'Model', runs: false },
};

/** Steps that need nothing, or for which something else than a job is allowed below. */
const OTHER_TYPES = new Set([
  ...['Condition', 'Fail', 'RegisterModel', 'Lambda'],
  ...['EndpointConfig', 'Endpoint', 'InferenceComponent'],
]);

/** Above this many steps of one type the policy, which IAM limits to 6,144 characters, names them all at once. */
const MOST_NAMED_STEPS = 10;

/** Letters of a step's name that surely are in the name of its job, which SageMaker cuts to 63. */
const SURE_LETTERS = 20;

/** What a pipeline runs. */
export interface PipelineRoleProps {
  /** Names its experiment too. */
  readonly pipelineName: string;
  /** All that the pipeline runs. */
  readonly steps: readonly Step[];
  /** Holds the property files that conditions look into, and the models that are registered. */
  readonly bucket: IBucket;
  /** Where in it the steps write. @default pipelines */
  readonly prefix?: string;
  /** Of the bucket and of the volumes. */
  readonly key: IKey;
  /** Of models that are registered. @default none */
  readonly images?: readonly ByocImage[];
  /** What else it may do, for types of steps that are not known here. @default nothing */
  readonly statements?: readonly PolicyStatement[];
}

/**
 * The role that a pipeline starts its jobs with: it may create, describe and stop the very kinds of jobs of its steps, by the
 * names that SageMaker Pipelines gives them (`pipelines-EXECUTION-STEP-...`), and pass on the roles that the steps name.
 *
 * After https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html.
 */
export class PipelineRole extends SageMakerRole {
  /** @throws PipelineError when what a step needs is not known */
  constructor(scope: Construct, id: string, props: PipelineRoleProps) {
    super(scope, id, `The pipeline ${props.pipelineName}: starts, describes and stops the jobs of its steps`);
    const steps = allSteps(props.steps.map((step) => JSON.parse(JSON.stringify(step.toDefinition()))));
    refuseUnknown(props, steps);
    this.allowJobs(steps);
    this.allowRegistration(steps);
    this.allowPackages(steps);
    this.allowFunctions(steps);
    this.allowEndpoints(steps);
    this.allowPassing(steps);
    this.allowExperiment(props.pipelineName);
    const { bucket, prefix = 'pipelines', key, images = [], statements = [] } = props;
    this.allow(['s3:GetObject'], [bucket.arnForObjects(`${prefix}/*`)], {
      reason: 'what the steps of each execution write: SageMaker chooses the folder of an execution',
    });
    this.allow(['kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'], [key.keyArn]);
    this.allow(['kms:CreateGrant'], [key.keyArn], { conditions: GRANT_FOR_AWS });
    for (const image of images) image.grantPull(this.policy);
    if (images.length > 0) this.acknowledgeWildcard('*', 'ecr:GetAuthorizationToken takes no resource');
    if (statements.length > 0) this.policy.addStatements(...statements);
  }

  private allowJobs(steps: readonly StepDefinition[]): void {
    const names = new Map<StepPermissions, string[]>();
    for (const { Type, Name } of steps) {
      const made = MADE_BY[Type];
      if (made) names.set(made, [...(names.get(made) ?? []), Name]);
    }
    for (const [{ resource, noun, runs, also = [], cut = false }, all] of names) {
      const calls = [...['Create', 'Describe', ...(runs ? ['Stop'] : [])].map((verb) => `${verb}${noun}`), ...also];
      const patterns = cut
        ? ['*']
        : all.length > MOST_NAMED_STEPS
          ? ['pipelines-*']
          : all.flatMap((name) => bothCases(`pipelines-*-${name.slice(0, SURE_LETTERS)}*`));
      this.allow(
        [...calls.map((call) => `sagemaker:${call}`), ADD_TAGS],
        [...new Set(patterns)].map((pattern) => this.arn(`${resource}/${pattern}`)),
        {
          reason: cut
            ? 'SageMaker cuts the names of tuning jobs to 32 characters, of which the step may have none'
            : 'SageMaker puts the execution before and random letters behind the name of the step',
        },
      );
    }
  }

  private allowRegistration(steps: readonly StepDefinition[]): void {
    const groups = steps
      .filter(({ Type }) => Type === 'RegisterModel')
      .map(({ Arguments }) => Arguments?.ModelPackageGroupName)
      .filter((name) => typeof name === 'string');
    for (const name of new Set(groups.flatMap(bothCases))) {
      this.allow(
        ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage', ADD_TAGS],
        [this.arn(`model-package-group/${name}`), this.arn(`model-package/${name}/*`)],
        { reason: 'the versions of one model package group: SageMaker numbers them' },
      );
    }
  }

  /** A model may be made of a registered version. */
  private allowPackages(steps: readonly StepDefinition[]): void {
    const arns = modelPackages(steps).map((found) => ('arn' in found ? found.arn : this.arn(found.resource)));
    if (arns.length === 0) return;
    this.allow(['sagemaker:DescribeModelPackage', 'sagemaker:CreateModel'], [...new Set(arns)], {
      reason: 'the versions of one model package group, which SageMaker numbers, or one that is chosen at the start',
    });
  }

  private allowFunctions(steps: readonly StepDefinition[]): void {
    const functions = steps.map((step) => (step as { FunctionArn?: unknown }).FunctionArn);
    const arns = [...new Set(functions.filter((arn) => typeof arn === 'string'))];
    if (arns.length > 0) this.allow(['lambda:InvokeFunction'], arns);
  }

  private allowEndpoints(steps: readonly StepDefinition[]): void {
    for (const { actions, resources } of endpointPermissions(steps)) {
      const arns = resources.map(({ service, resource }) => Stack.of(this).formatArn({ service, resource }));
      const wild = arns.some((arn) => arn.includes('*'));
      this.allow(actions, arns, wild ? { reason: 'a part of the name is known only when the pipeline runs' } : {});
    }
  }

  private allowPassing(steps: readonly StepDefinition[]): void {
    const roles = steps.flatMap((step) => rolesIn(step.Arguments));
    if (roles.length === 0) return;
    this.allow(['iam:PassRole'], [...new Set(roles)], {
      conditions: { StringEquals: { 'iam:PassedToService': SAGEMAKER } },
    });
  }

  /** Each execution is a trial of the experiment that is named after the pipeline. */
  private allowExperiment(pipelineName: string): void {
    this.allow(
      ['sagemaker:CreateExperiment', 'sagemaker:DescribeExperiment', ADD_TAGS],
      bothCases(pipelineName).map((name) => this.arn(`experiment/${name}`)),
    );
    this.allow(
      [
        ...['CreateTrial', 'DescribeTrial', 'CreateTrialComponent', 'DescribeTrialComponent'],
        ...['UpdateTrialComponent', 'AssociateTrialComponent'],
      ]
        .map((call) => `sagemaker:${call}`)
        .concat(ADD_TAGS),
      [this.arn('experiment-trial/*'), this.arn('experiment-trial-component/pipelines-*')],
      { reason: 'a trial is called as its execution is, and a component as its job: SageMaker chooses both' },
    );
  }
}

const ADD_TAGS = 'sagemaker:AddTags';

/** ARNs of the roles that a job works with; those that are chosen at the start are not known. */
function rolesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, entry]) => {
    if (key === 'IfSteps' || key === 'ElseSteps') return [];
    return (key === 'RoleArn' || key === 'ExecutionRoleArn') && typeof entry === 'string' ? [entry] : rolesIn(entry);
  });
}

function refuseUnknown({ pipelineName, statements = [] }: PipelineRoleProps, steps: readonly StepDefinition[]): void {
  if (statements.length > 0) return;
  const findings = steps
    .filter(({ Type }) => !(Type in MADE_BY) && !OTHER_TYPES.has(Type))
    .map(({ Name, Type }) => ({
      where: `step ${Name}`,
      problem: `what a role needs for a step of type ${Type} is not known.`,
      fix: 'give the policy statements for it as `statements`, or a role of your own to the pipeline.',
    }));
  if (findings.length > 0) throw new PipelineError(pipelineName, findings);
}

/**
 * Lets an existing role work with a bucket and a key through their own policies, so that the role stays as it is.
 *
 * @param key must be one of this app's, for an imported key's policy cannot be changed
 */
export function allowExistingRole(role: IRole, bucket: Bucket | undefined, key: Key | undefined): void {
  const principals: IPrincipal[] = [new ArnPrincipal(role.roleArn)];
  key?.addToResourcePolicy(new PolicyStatement({ principals, actions: KEY_ACTIONS, resources: ['*'] }));
  key?.addToResourcePolicy(
    new PolicyStatement({ principals, actions: ['kms:CreateGrant'], resources: ['*'], conditions: GRANT_FOR_AWS }),
  );
  bucket?.addToResourcePolicy(
    new PolicyStatement({ principals, actions: BUCKET_ACTIONS, resources: [bucket.bucketArn] }),
  );
  bucket?.addToResourcePolicy(
    new PolicyStatement({ principals, actions: OBJECT_ACTIONS, resources: [bucket.arnForObjects('*')] }),
  );
}
