// A trigger: new objects in S3 start a pipeline, once, when no more have come for a while.
import { join } from 'node:path';
import { Annotations, Duration, Names, Stack, Token } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Bucket, type CfnBucket, type IBucket } from 'aws-cdk-lib/aws-s3';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { type IQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ManagedRole } from '../stages/access/managed-role';
import { acknowledgeInPacks } from '../stages/checks/acknowledge';
import { Refusals } from '../stages/checks/refusals';
import { encryptedLogs } from '../stages/monitoring/log-group';
import { SageMakerPipeline } from '../stages/sagemaker-pipeline';
import { schedulerRole } from './schedule';
import {
  allowEvents,
  checkDelivery,
  checkParameters,
  type DeliveryProps,
  deadLetters,
  encryption,
  parameterList,
  type StartParameters,
  type StartProps,
} from './start';

/** Which objects are waited for, and what is started. */
export interface NewDataProps extends StartProps, DeliveryProps {
  /**
   * Where the objects arrive. Of a bucket that is made in the app the events are switched on here; for an imported one somebody
   * must have switched on "Amazon EventBridge" among its event notifications.
   */
  readonly bucket: IBucket;
  /** What the keys of new objects begin with, e.g. raw/; what the pipeline itself writes must not lie below it. */
  readonly prefix: string;
  /** What they end with, e.g. .png; upper and lower case are told apart. @default anything */
  readonly suffixes?: readonly string[];
  /** How long nothing may have arrived before the pipeline starts; EventBridge Scheduler is exact to a minute. @default 15 minutes */
  readonly quietPeriod?: Duration;
  /**
   * The pipeline's parameter that gets the S3 URI of the prefix.
   *
   * @default InputData, of a SageMakerPipeline that has it and is not given it in `parameters`; else none
   */
  readonly dataParameter?: string;
}

const DEFAULT_QUIET = Duration.minutes(15);

/** The function looks at many arrivals at once: all that came in this time, up to as many. */
const BATCH_WINDOW = Duration.seconds(20);
const BATCH_SIZE = 1000;

const FUNCTION_TIMEOUT = Duration.seconds(30);

function check(construct: Construct, props: NewDataProps): void {
  const refusals = new Refusals(construct);
  const { pipeline, prefix, suffixes, quietPeriod, parameters = {}, dataParameter } = props;
  if (prefix === '') {
    const fix = 'put new data below a prefix of its own, as raw/';
    refusals.add(
      'prefix',
      'empty',
      'one that the pipeline writes nothing below, or each execution starts the next',
      fix,
    );
  }
  for (const [prop, text] of [
    ['prefix', prefix] as const,
    ...(suffixes ?? []).map((end) => ['suffixes', end] as const),
  ]) {
    if (!Token.isUnresolved(text) && /[*\\]|^\//.test(text))
      refusals.add(
        prop,
        `'${text}'`,
        'the letters of a key, without *, \\ and a / before it',
        'write it as it is in the key',
      );
  }
  if (suffixes && (suffixes.length === 0 || suffixes.includes('')))
    refusals.add('suffixes', 'empty', 'at least one ending', 'leave it out for all objects');
  refusals.within('quietPeriod', quietPeriod, Duration.minutes(1), Duration.days(7));
  if (dataParameter !== undefined && dataParameter in parameters) {
    const fix = `leave ${dataParameter} out of parameters, or dataParameter`;
    refusals.add('dataParameter', `${dataParameter}, and parameters has it too`, 'a parameter that is not given', fix);
  }
  checkParameters(pipeline, startParameters(props), refusals);
  checkDelivery(props, refusals);
  refusals.throwIfAny();
}

function startParameters({ pipeline, bucket, prefix, parameters = {}, ...props }: NewDataProps): StartParameters {
  const has = pipeline instanceof SageMakerPipeline && pipeline.parameters.some(({ name }) => name === 'InputData');
  const name = props.dataParameter ?? (has && !('InputData' in parameters) ? 'InputData' : undefined);
  if (name === undefined) return parameters;
  return { ...parameters, [name]: `s3://${bucket.bucketName}/${prefix.replace(/\/$/, '')}` };
}

/** What EventBridge is to tell of: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html */
function arrivals({ bucket, prefix, suffixes }: NewDataProps) {
  const key = suffixes ? suffixes.map((suffix) => ({ wildcard: `${prefix}*${suffix}` })) : [{ prefix }];
  return {
    source: ['aws.s3'],
    detailType: ['Object Created'],
    detail: { bucket: { name: [bucket.bucketName] }, object: { key } },
  };
}

/**
 * Starts the pipeline once for many uploads: each arrival puts the start off until the quiet period is over.
 *
 * S3 tells EventBridge of each object, whose events wait in a queue; a function takes them, many at once, and moves one one-time
 * schedule of EventBridge Scheduler, which starts the pipeline with the URI of the prefix. What cannot be handled or started goes
 * to the dead letter queue. An object that arrives in the minute in which the pipeline starts may start it once more; none is missed.
 */
export class NewData extends Construct {
  /** EventBridge's, which hears of the objects. */
  readonly rule: Rule;
  /** Arrivals that wait to be looked at. */
  readonly queue: Queue;
  /** Puts the start off. */
  readonly function: LambdaFunction;
  /** Holds the one schedule, which the function makes; it goes with the stack. */
  readonly group: ScheduleGroup;
  /** Holds arrivals that could not be handled, and starts that failed. */
  readonly deadLetterQueue: IQueue;

  /** @throws PipelineError naming all that is wrong with the trigger */
  constructor(scope: Construct, id: string, props: NewDataProps) {
    super(scope, id);
    check(this, props);
    switchOnEvents(props.bucket);
    this.deadLetterQueue = deadLetters(this, props);
    this.group = new ScheduleGroup(this, 'Group', {
      scheduleGroupName: Names.uniqueResourceName(this, { maxLength: 64 }),
    });
    this.queue = new Queue(this, 'Queue', {
      ...encryption(props.key),
      enforceSSL: true,
      visibilityTimeout: Duration.seconds(6 * FUNCTION_TIMEOUT.toSeconds()),
      deadLetterQueue: { queue: this.deadLetterQueue, maxReceiveCount: 5 },
    });
    this.rule = new Rule(this, 'Rule', {
      description: `New objects below ${props.prefix}, for the pipeline ${props.pipeline.pipelineName}`,
      eventPattern: arrivals(props),
      // not CDK's target, which with a key lets the rules of all accounts in
      targets: [{ bind: () => ({ arn: this.queue.queueArn, targetResource: this.queue }) }],
    });
    allowEvents(this.queue, this.rule, props.key);
    this.function = this.makeFunction(props, this.starter(props));
  }

  /** The role that the schedule starts the pipeline with. */
  private starter({ pipeline }: NewDataProps): ManagedRole {
    const description = `Starts the pipeline ${pipeline.pipelineName} when new data has come`;
    const role = schedulerRole(this, description, this.group.scheduleGroupArn);
    pipeline.grantStartPipelineExecution(role);
    this.deadLetterQueue.grantSendMessages(role);
    return role;
  }

  private makeFunction(props: NewDataProps, starter: ManagedRole): LambdaFunction {
    const { pipeline, quietPeriod = DEFAULT_QUIET, key, retryAttempts = 185, maxEventAge = Duration.days(1) } = props;
    const logs = encryptedLogs(this, 'Logs', key);
    const role = new ManagedRole(this, 'FunctionRole', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: 'Puts off the start of a pipeline: one schedule, one queue, one log group',
    });
    const schedule = Stack.of(this).formatArn({
      service: 'scheduler',
      resource: 'schedule',
      resourceName: `${this.group.scheduleGroupName}/${SCHEDULE_NAME}`,
    });
    role.allow(['scheduler:CreateSchedule', 'scheduler:UpdateSchedule'], [schedule]);
    role.allow(['iam:PassRole'], [starter.roleArn], {
      conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
    });
    logs.grantWrite(role);
    const pipelineParameterList = parameterList(startParameters(props));
    const target = {
      Arn: pipeline.pipelineArn,
      RoleArn: starter.roleArn,
      DeadLetterConfig: { Arn: this.deadLetterQueue.queueArn },
      RetryPolicy: { MaximumRetryAttempts: retryAttempts, MaximumEventAgeInSeconds: maxEventAge.toSeconds() },
      ...(pipelineParameterList.length > 0 && {
        SageMakerPipelineParameters: {
          PipelineParameterList: pipelineParameterList.map(({ name, value }) => ({ Name: name, Value: value })),
        },
      }),
    };
    const made = new LambdaFunction(this, 'Function', {
      description: `Puts off the start of the pipeline ${pipeline.pipelineName} while data arrives`,
      runtime: Runtime.NODEJS_24_X,
      handler: 'handler.handler',
      code: Code.fromAsset(join(__dirname, 'debounce'), { exclude: ['*.d.ts', '*.map'] }),
      role,
      logGroup: logs,
      timeout: FUNCTION_TIMEOUT,
      memorySize: 256,
      ...(key && { environmentEncryption: key }),
      environment: {
        SCHEDULE_GROUP: this.group.scheduleGroupName,
        SCHEDULE_NAME,
        QUIET_SECONDS: String(quietPeriod.toSeconds()),
        SCHEDULE_TARGET: Stack.of(this).toJsonString(target),
      },
      events: [
        new SqsEventSource(this.queue, {
          batchSize: BATCH_SIZE,
          maxBatchingWindow: BATCH_WINDOW,
          // the least that there is; one schedule needs no more
          maxConcurrency: 2,
        }),
      ],
    });
    made.node.addDependency(pipeline);
    acknowledgeRules(made);
    return made;
  }
}

const SCHEDULE_NAME = 'start';

/** As a property of the bucket: CDK's own way is a function with a role over all buckets. */
function switchOnEvents(bucket: IBucket): void {
  if (!(bucket instanceof Bucket)) {
    Annotations.of(bucket).addInfo('new data is seen only if the bucket sends its events to Amazon EventBridge');
    return;
  }
  (bucket.node.defaultChild as CfnBucket).addPropertyOverride(
    'NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled',
    true,
  );
}

function acknowledgeRules(made: LambdaFunction): void {
  const reasons = {
    LambdaConcurrency:
      'its event source runs at most two at once; reserving them would take them from an account that has only ten',
    LambdaDLQ: 'it is called by a queue, which has a dead letter queue; its own would never get anything',
    LambdaInsideVPC:
      'it speaks to EventBridge Scheduler alone, and sees no data: in a VPC it would need an endpoint for it',
  };
  for (const [rule, reason] of Object.entries(reasons)) acknowledgeInPacks(made, rule, reason);
}
