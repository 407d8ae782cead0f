// The tracking stage: where training jobs report to: SageMaker's managed MLflow, TensorBoard's files in S3, Weights & Biases.
import type { TensorBoardOutputConfig } from '@aws-sdk/client-sagemaker';
import { Stack, Token } from 'aws-cdk-lib';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { CfnMlflowTrackingServer } from 'aws-cdk-lib/aws-sagemaker';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { ExecutionVariables, join, type Resolvable, type Text } from '../pipeline';
import { ManagedRole } from './access/managed-role';
import { knownText } from './checks/known-text';
import { Refusals } from './checks/refusals';

/** Where trainings report to. */
export interface TrackingProps {
  /** Name of a managed MLflow tracking server, made here; it is paid by the hour as long as it is there. @default none is made */
  readonly serverName?: string;
  /** An existing tracking server, or a serverless MLflow app. @default none */
  readonly serverArn?: string;
  /** Holds MLflow's artifacts: needed with `serverName`; with `serverArn`, jobs are let write into it. @default none */
  readonly bucket?: IBucket;
  /** Where in the bucket the artifacts lie. @default mlflow */
  readonly artifactPrefix?: string;
  /** Of the bucket. @default that of the bucket, where known */
  readonly key?: IKey;
  /** For about 25, 50 or 100 people who log. @default Small */
  readonly serverSize?: 'Small' | 'Medium' | 'Large';
  /** e.g. 3.0. @default SageMaker's newest */
  readonly mlflowVersion?: string;
  /** When AWS may update the server, in UTC, as Sun:03:00. @default AWS chooses */
  readonly maintenanceStart?: string;
  /** Whether models that are registered in MLflow are registered in SageMaker too. @default false */
  readonly automaticModelRegistration?: boolean;
  /** An existing role for the server. @default one is made, for the artifacts alone */
  readonly serverRole?: IRole;
  /** MLflow's experiment; each execution's jobs are runs of it. @default the pipeline's name */
  readonly experimentName?: Text;
  /** S3 URI below which TensorBoard's files of each execution are kept. @default none are */
  readonly tensorBoardUri?: Text;
  /** Where in the container TensorBoard's files are written. @default /opt/ml/output/tensorboard */
  readonly tensorBoardPath?: string;
  /** Holds the API key of Weights & Biases, as plain text; the job reads it, and neither template nor job description has it. @default none */
  readonly wandbSecret?: ISecret;
  /** Project in Weights & Biases. @default W&B's own: uncategorized */
  readonly wandbProject?: Text;
}

/** What a job may do with MLflow: log, and look up what it logs to; it deletes nothing. */
const LOGGING = [
  ...['CreateExperiment', 'GetExperiment', 'GetExperimentByName', 'SearchExperiments', 'SetExperimentTag'],
  ...['CreateRun', 'GetRun', 'UpdateRun', 'SearchRuns', 'SetTag', 'GetMetricHistory', 'ListArtifacts'],
  ...['LogBatch', 'LogMetric', 'LogParam', 'LogInputs', 'LogOutputs', 'LogModel'],
  ...['GetLoggedModel', 'FinalizeLoggedModel', 'LogLoggedModelParams', 'SetLoggedModelTags'],
].map((action) => `sagemaker-mlflow:${action}`);

const SERVER_NAME = /^[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,255}$/;

const SERVER_ARN = /^arn:aws[a-z-]*:sagemaker:[^:]+:\d{12}:(?:mlflow-tracking-server|mlflow-app)\/\S+$/;

function checkServer(props: TrackingProps, refusals: Refusals): void {
  const { serverName, serverArn, bucket, artifactPrefix, mlflowVersion, maintenanceStart, serverSize } = props;
  const known = (text: string | undefined): text is string => text !== undefined && !Token.isUnresolved(text);
  if (serverName !== undefined && serverArn !== undefined)
    refusals.add('serverArn', 'given, and so is serverName', 'one of them', 'leave out one');
  if (known(serverName) && !SERVER_NAME.test(serverName))
    refusals.add('serverName', `'${serverName}'`, 'letters, digits and -, at most 256', 'give another name');
  if (known(serverArn) && !SERVER_ARN.test(serverArn)) {
    const fix = 'give what `aws sagemaker list-mlflow-tracking-servers` has as TrackingServerArn';
    refusals.add('serverArn', `'${serverArn}'`, 'the ARN of an MLflow tracking server or app', fix);
  }
  if (serverName !== undefined && !bucket)
    refusals.add('bucket', 'left out', "a bucket for the server's artifacts", "give e.g. the data set's bucket");
  if (serverName === undefined) {
    const own = [
      'serverSize',
      'mlflowVersion',
      'maintenanceStart',
      'automaticModelRegistration',
      'serverRole',
    ] as const;
    for (const prop of own.filter((name) => props[name] !== undefined))
      refusals.add(prop, 'given without serverName', 'it for a server that is made here', 'leave it out');
  }
  if (serverSize !== undefined && !['Small', 'Medium', 'Large'].includes(serverSize))
    refusals.add('serverSize', `'${serverSize}'`, 'Small, Medium or Large', 'give one of those');
  if (known(mlflowVersion) && !/^\d+\.\d+(?:\.\d+)?$/.test(mlflowVersion))
    refusals.add('mlflowVersion', `'${mlflowVersion}'`, 'a version, as 3.0', 'give one, or leave it out');
  if (known(maintenanceStart) && !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun):(?:[01]\d|2[0-3]):[0-5]\d$/.test(maintenanceStart))
    refusals.add('maintenanceStart', `'${maintenanceStart}'`, 'a day and a time, as Sun:03:00', 'write it so');
  if (artifactPrefix !== undefined && /^\/|\/$|^$/.test(artifactPrefix))
    refusals.add('artifactPrefix', `'${artifactPrefix}'`, 'a prefix without / at its ends', 'give e.g. mlflow');
}

function check(construct: Construct, props: TrackingProps): void {
  const refusals = new Refusals(construct);
  const { serverName, serverArn, tensorBoardUri, tensorBoardPath, wandbSecret, wandbProject, experimentName } = props;
  const hasServer = serverName !== undefined || serverArn !== undefined;
  if (!hasServer && tensorBoardUri === undefined && !wandbSecret) {
    const fix = 'give one of them, or leave tracking out';
    refusals.add(
      'serverName',
      'left out, and so is the rest',
      'serverName, serverArn, tensorBoardUri or wandbSecret',
      fix,
    );
  }
  checkServer(props, refusals);
  if (experimentName !== undefined && !hasServer)
    refusals.add(
      'experimentName',
      'given without a server',
      'it with serverName or serverArn',
      'give one, or leave it out',
    );
  const uri = knownText(tensorBoardUri);
  if (uri !== undefined && !/^s3:\/\/[^/]+/.test(uri))
    refusals.add('tensorBoardUri', `'${uri}'`, 'an S3 URI', 'give s3://BUCKET/PREFIX');
  if (tensorBoardPath !== undefined && tensorBoardUri === undefined)
    refusals.add('tensorBoardPath', 'given without tensorBoardUri', 'it with tensorBoardUri alone', 'give both');
  if (wandbProject !== undefined && !wandbSecret)
    refusals.add('wandbProject', 'given without wandbSecret', 'it with wandbSecret alone', 'give both');
  refusals.throwIfAny();
}

/**
 * Given to training stages as `tracking`. A job finds in its environment, for each that is chosen:
 *
 * - `MLFLOW_TRACKING_URI`: the ARN of the server, which MLflow's client takes with the package sagemaker-mlflow;
 *   `MLFLOW_EXPERIMENT_NAME`
 * - `WANDB_API_KEY_SECRET_ARN`: of the secret in Secrets Manager that holds the key, which the job may read; `WANDB_PROJECT`
 * - `TENSORBOARD_LOG_DIR`: the folder that SageMaker copies to S3 while the job runs
 *
 * MLflow and W&B need the network: with network isolation a stage refuses them. TensorBoard's files do not.
 */
export class Tracking extends Construct {
  /** Made here; undefined where there is none. */
  readonly server?: CfnMlflowTrackingServer;
  /** Of the server that is made or given. */
  readonly serverArn?: string;
  /** What jobs find in their environment. */
  readonly environment: Readonly<Record<string, Text>>;
  /** What jobs have as TensorBoardOutputConfig. */
  readonly tensorBoardOutput?: Resolvable<TensorBoardOutputConfig>;
  private readonly props: TrackingProps;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: TrackingProps) {
    super(scope, id);
    check(this, props);
    this.props = props;
    if (props.serverName !== undefined) this.server = this.makeServer(props.serverName, props.bucket as IBucket);
    const arn = this.server?.attrTrackingServerArn ?? props.serverArn;
    if (arn !== undefined) this.serverArn = arn;
    const { tensorBoardUri, tensorBoardPath = '/opt/ml/output/tensorboard', wandbSecret, wandbProject } = props;
    if (tensorBoardUri !== undefined) {
      const S3OutputPath = join('/', tensorBoardUri, ExecutionVariables.pipelineExecutionId);
      this.tensorBoardOutput = { S3OutputPath, LocalPath: tensorBoardPath };
    }
    this.environment = {
      ...(arn !== undefined && {
        MLFLOW_TRACKING_URI: arn,
        MLFLOW_EXPERIMENT_NAME: props.experimentName ?? ExecutionVariables.pipelineName,
      }),
      ...(tensorBoardUri !== undefined && { TENSORBOARD_LOG_DIR: tensorBoardPath }),
      ...(wandbSecret && { WANDB_API_KEY_SECRET_ARN: wandbSecret.secretArn }),
      ...(wandbProject !== undefined && { WANDB_PROJECT: wandbProject }),
    };
  }

  /** What of it does not work without network. */
  get networked(): readonly string[] {
    return [
      ...(this.serverArn === undefined ? [] : ['MLflow']),
      ...(this.props.wandbSecret ? ['Weights & Biases'] : []),
    ];
  }

  /** Lets a job log to the server, put artifacts where it keeps them, and read the key of W&B. Training stages call it. */
  grantTrack(role: IRole): void {
    const { bucket, wandbSecret } = this.props;
    if (this.serverArn !== undefined) {
      const app = /:mlflow-app\//.test(this.serverArn) ? ['sagemaker:CallMlflowAppApi'] : [];
      role.addToPrincipalPolicy(new PolicyStatement({ actions: [...app, ...LOGGING], resources: [this.serverArn] }));
      if (bucket) this.grantArtifacts(role, bucket);
    }
    wandbSecret?.grantRead(role);
  }

  private get artifactPrefix(): string {
    return this.props.artifactPrefix ?? 'mlflow';
  }

  private grantArtifacts(role: IRole, bucket: IBucket): void {
    const objects = bucket.arnForObjects(`${this.artifactPrefix}/*`);
    role.addToPrincipalPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'],
        resources: [objects],
      }),
    );
    (this.props.key ?? bucket.encryptionKey)?.grantEncryptDecrypt(role);
    if (role instanceof ManagedRole)
      role.acknowledgeWildcard(objects, "MLflow's artifacts: it names them after experiments and runs");
  }

  private makeServer(trackingServerName: string, bucket: IBucket): CfnMlflowTrackingServer {
    const { serverSize = 'Small', mlflowVersion, maintenanceStart, automaticModelRegistration = false } = this.props;
    const role = this.props.serverRole ?? this.makeRole(bucket, automaticModelRegistration);
    const server = new CfnMlflowTrackingServer(this, 'Server', {
      trackingServerName,
      trackingServerSize: serverSize,
      artifactStoreUri: `s3://${bucket.bucketName}/${this.artifactPrefix}`,
      roleArn: role.roleArn,
      automaticModelRegistration,
      ...(mlflowVersion !== undefined && { mlflowVersion }),
      ...(maintenanceStart !== undefined && { weeklyMaintenanceWindowStart: maintenanceStart }),
    });
    // it looks for its artifacts as soon as it is made
    if (role instanceof ManagedRole) server.node.addDependency(role.policy);
    return server;
  }

  /** https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow-create-tracking-server-iam.html */
  private makeRole(bucket: IBucket, registers: boolean): ManagedRole {
    const role = new ManagedRole(this, 'Role', {
      service: 'sagemaker.amazonaws.com',
      description:
        'The MLflow tracking server: its artifacts in one bucket, and the registry where it registers models',
    });
    this.grantArtifacts(role, bucket);
    if (registers) {
      const arn = (resource: string) => Stack.of(this).formatArn({ service: 'sagemaker', resource });
      role.allow(
        [
          ...['CreateModelPackageGroup', 'DescribeModelPackageGroup', 'CreateModelPackage', 'UpdateModelPackage'],
          'AddTags',
        ].map((action) => `sagemaker:${action}`),
        [arn('model-package-group/*'), arn('model-package/*')],
        { reason: 'MLflow names the groups after the models that people register in it' },
      );
    }
    return role;
  }
}
