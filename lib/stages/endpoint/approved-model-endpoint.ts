// An endpoint that serves the newest approved version of a model package group, moved to a newly approved one by an event.
import { join } from 'node:path';
import { Duration, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { type Alarm, type CreateAlarmOptions, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { type EventPattern, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type Finding, PipelineError } from '../../pipeline';
import { bothCases } from '../access/endpoint-permissions';
import { acknowledgeInPacks } from '../checks/acknowledge';
import { refusal } from '../checks/checks';
import { variantScaling } from './autoscaling';
import { DeployerRole } from './deployer-role';
import { tagList, volumeKeyArn } from './endpoint-requests';
import type { EndpointModel, EndpointSettings, EndpointVariant, VariantSettings } from './endpoint-settings';
import { EndpointStage, whereOf } from './endpoint-stage';
import { APPROVED_MODEL, type Deployment } from './handler/deployment';

/** A variant that serves the approved version, unless it has a model of its own. */
export interface ApprovedVariant extends VariantSettings {
  /** A model that stays, beside the approved one. @default the newest approved version */
  readonly model?: EndpointModel;
}

/** What is served, and how. */
export interface ApprovedModelEndpointProps extends EndpointSettings {
  /**
   * Name of the model package group, or its ARN where it is another account's. That account must let this one read it
   * (`ModelPackageGroup.shareWith`), and send its events to the default event bus of this one.
   */
  readonly modelPackageGroup: string;
  /** @default one that serves the newest approved version */
  readonly variants?: readonly ApprovedVariant[];
  /** Configurations, with their models, that are kept beside the one that serves, newest first. @default 3 */
  readonly keep?: number;
}

/** Bytes that Lambda allows for the environment. */
const LARGEST_ENVIRONMENT = 4096;

/** Letters of the endpoint's name that configurations begin with: the version and a digest follow, and 63 is the limit. */
const PREFIX_LENGTH = 45;

/**
 * An endpoint on the newest approved version of a model package group. A function deploys it; what wakes the function:
 *
 * - a version of the group is approved, or rejected: rejecting the one that serves brings the newest that still is approved back;
 * - the stack has been deployed: a version that was approved before is served, and changed settings are taken on, without a custom resource;
 * - the endpoint has come into service: autoscaling is registered, and all but the last configurations are deleted.
 *
 * Until something is approved the stack stands without an endpoint. What SageMaker has taken back is not tried again by itself: approve
 * the version anew, deploy the stack, or invoke `deployer`. When nothing is approved any more, what serves stays. The endpoint is made by the
 * function, not by CloudFormation: when the stack is deleted, it stays, until `aws sagemaker delete-endpoint`.
 *
 * For a model that is known at the deployment: {@link Endpoint}; as the last steps of a pipeline: {@link EndpointDeployment}.
 */
export class ApprovedModelEndpoint extends EndpointStage {
  /** The function that deploys; invoked by hand, with anything, it tries the newest approved version again. */
  readonly deployer: LambdaFunction;
  /** Gets what the function could not do, after three attempts. */
  readonly deadLetterQueue: IQueue;

  /** @throws PipelineError naming all that is wrong with the endpoint */
  constructor(scope: Construct, id: string, props: ApprovedModelEndpointProps) {
    const { variants = [{}] } = props;
    super(scope, id, props, variants, (where) => check(where, props));
    this.deadLetterQueue = this.makeDeadLetterQueue();
    this.deployer = this.makeDeployer(props, variants);
    this.wake('Approval', {
      source: ['aws.sagemaker'],
      detailType: ['SageMaker Model Package State Change'],
      detail: {
        ModelPackageGroupName: [nameOf(props.modelPackageGroup)],
        ModelApprovalStatus: ['Approved', 'Rejected'],
      },
    });
    this.wake('EndpointChange', {
      source: ['aws.sagemaker'],
      detailType: ['SageMaker Endpoint State Change'],
      detail: { EndpointName: [this.endpointName] },
    });
    this.wake('Deployed', {
      source: ['aws.cloudformation'],
      detailType: ['CloudFormation Stack Status Change'],
      detail: {
        'stack-id': [Stack.of(this).stackId],
        'status-details': { status: ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE'] },
      },
    });
  }

  /** Goes off when an approved version could not be deployed, after three attempts. */
  alarmNotDeployed(id: string, options: Partial<CreateAlarmOptions> = {}): Alarm {
    const metric = this.deadLetterQueue.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(1) });
    return metric.createAlarm(this, id, {
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: `Endpoint ${this.endpointName}: an approved version could not be deployed`,
      ...options,
    });
  }

  private wake(id: string, eventPattern: EventPattern): void {
    new Rule(this, id, { eventPattern, targets: [new LambdaTarget(this.deployer)] });
  }

  private makeDeadLetterQueue(): Queue {
    return new Queue(this, 'NotDeployed', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
  }

  private makeDeployer(props: ApprovedModelEndpointProps, variants: readonly ApprovedVariant[]): LambdaFunction {
    const { settings, endpointName } = this;
    const deployment = this.toDeployment(props, variants);
    const logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledgeInPacks(
      logGroup,
      'CloudWatchLogGroupEncrypted',
      'it says which version was deployed when, and nothing of what was asked; CloudWatch encrypts it with a key of its own',
    );
    const keyArn = volumeKeyArn(settings, settings.shadow ? [...variants, settings.shadow] : variants);
    const role = new DeployerRole(this, 'DeployerRole', {
      endpointName,
      versions: versionsOf(this, props.modelPackageGroup),
      prefix: deployment.prefix,
      role: this.role,
      logGroup,
      alarmArns: this.rollbackAlarms.map(({ alarmArn }) => alarmArn),
      ...(keyArn !== undefined && { volumeKeyArn: keyArn }),
    });
    role.allowScaling(endpointName);
    const deployer = new LambdaFunction(this, 'Deployer', {
      description: `Moves the endpoint ${endpointName} to the newest approved version`,
      code: Code.fromAsset(join(__dirname, 'handler'), { exclude: ['*.map', '*.d.ts'] }),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      memorySize: 256,
      timeout: Duration.minutes(5),
      // one after the other: two approvals must not move the endpoint at once
      reservedConcurrentExecutions: 1,
      retryAttempts: 2,
      deadLetterQueue: this.deadLetterQueue,
      logGroup,
      role,
      environment: { DEPLOYMENT: Stack.of(this).toJsonString(deployment) },
    });
    acknowledgeInPacks(
      deployer,
      'LambdaInsideVPC',
      'it speaks to the APIs of SageMaker, Auto Scaling and CloudWatch alone, and sees no image and no answer',
    );
    return deployer;
  }

  private toDeployment(props: ApprovedModelEndpointProps, variants: readonly ApprovedVariant[]): Deployment {
    const { endpointName } = this;
    const { PrimaryContainer: _, ...model } = this.modelRequest({ modelPackageArn: '' }) ?? {};
    const named = variants.map((variant) =>
      variant.model ? this.withModel(variant as EndpointVariant) : { ...variant, modelName: APPROVED_MODEL },
    );
    const request = this.configRequest(named, props.shadow && this.withModel(props.shadow));
    const deployment = {
      endpointName,
      group: props.modelPackageGroup,
      prefix: Token.isUnresolved(endpointName) ? endpointName : endpointName.slice(0, PREFIX_LENGTH).replace(/-+$/, ''),
      keep: props.keep ?? 3,
      model,
      config: request,
      ...(this.deploymentRequest && { deployment: this.deploymentRequest }),
      scaling: variants.flatMap((variant) => variantScaling(endpointName, variant, this.settings) ?? []),
      tags: tagList(props.tags),
    } as Deployment;
    const length = JSON.stringify(Stack.of(this).resolve(deployment)).length;
    if (length > LARGEST_ENVIRONMENT) {
      const allowed = `${LARGEST_ENVIRONMENT}, which is what Lambda allows`;
      const finding = refusal(
        whereOf(this),
        'variants',
        `settings of ${length} bytes`,
        allowed,
        'give fewer variants or tags',
      );
      throw new PipelineError(this.node.path, [finding]);
    }
    return deployment;
  }
}

function check(where: string, { modelPackageGroup, variants = [{}], keep = 3 }: ApprovedModelEndpointProps): Finding[] {
  const findings: Finding[] = [];
  const name = Token.isUnresolved(modelPackageGroup) ? undefined : modelPackageGroup;
  if (
    name !== undefined &&
    !/^(arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:model-package-group\/)?[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(name)
  ) {
    const allowed = "a model package group's name or ARN";
    findings.push(refusal(where, 'modelPackageGroup', `'${name}'`, allowed, 'give the name that the registry has'));
  }
  if (!(Number.isInteger(keep) && keep >= 0)) {
    findings.push(refusal(where, 'keep', keep, 'a whole number, 0 or more', 'give e.g. 3'));
  }
  if (variants.length > 0 && variants.every(({ model }) => model)) {
    const fix = 'leave model out of one of them, or use Endpoint';
    findings.push(
      refusal(where, 'variants', 'each with a model of its own', 'one that serves the approved version', fix),
    );
  }
  return findings;
}

/** The group's name, which is what events have. */
function nameOf(group: string): string {
  return Token.isUnresolved(group) ? group : group.replace(/^arn:.*:model-package-group\//, '');
}

/** The versions of a group, as ARNs with a wildcard. */
function versionsOf(scope: Construct, group: string): string[] {
  if (group.startsWith('arn:')) return [`${group.replace(':model-package-group/', ':model-package/')}/*`];
  return bothCases(group).map((name) =>
    Stack.of(scope).formatArn({ service: 'sagemaker', resource: 'model-package', resourceName: `${name}/*` }),
  );
}
