// What all triggers have in common: which pipeline is started with which parameters, and what becomes of a start that fails.
import { Duration, Stack, Token } from 'aws-cdk-lib';
import type { Rule } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { Parameter } from '../pipeline';
import { acknowledge } from '../stages/checks/acknowledge';
import type { Refusals } from '../stages/checks/refusals';
import { SageMakerPipeline } from '../stages/sagemaker-pipeline';

/** Values for parameters of a pipeline, by name. */
export type StartParameters = Readonly<Record<string, string | number | boolean>>;

/** What is started, with which parameters. */
export interface StartProps {
  /** What is started: a `SageMakerPipeline`, or another by CDK's `IPipeline`. */
  readonly pipeline: IPipeline;
  /** What is chosen at the start; checked at synth against the parameters of a `SageMakerPipeline`. @default the parameters' defaults */
  readonly parameters?: StartParameters;
}

/** What becomes of a start that fails. */
export interface DeliveryProps {
  /** Gets what could not be started, when all attempts have failed. @default one is made, which keeps it for 14 days */
  readonly deadLetterQueue?: IQueue;
  /** Encrypts what is made here. @default the services' own keys */
  readonly key?: IKey;
  /** How often a start that failed is tried again. @default 185 times */
  readonly retryAttempts?: number;
  /** For how long a start that failed is tried again. @default a day */
  readonly maxEventAge?: Duration;
}

/** The most that StartPipelineExecution takes: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html */
const MOST_PARAMETERS = 200;

const LONGEST_VALUE = 1024;

/** What is wrong with a value for a parameter; undefined where nothing is. */
function problemOf(parameter: Parameter, value: string | number | boolean): string | undefined {
  const text = String(value);
  const { EnumValues } = parameter.toDefinition();
  if (Array.isArray(EnumValues) && !EnumValues.includes(text)) return `one of ${EnumValues.join(', ')}`;
  if (parameter.type === 'Integer' && !/^-?\d+$/.test(text)) return 'a whole number';
  if (parameter.type === 'Float' && (text.trim() === '' || Number.isNaN(Number(text)))) return 'a number';
  if (parameter.type === 'Boolean' && !/^(?:true|false)$/i.test(text)) return 'true or false';
  return undefined;
}

/** Whether a value is known only when the pipeline is started: a token, or a path into an event. */
function isLater(value: string | number | boolean): boolean {
  return Token.isUnresolved(value) || (typeof value === 'string' && /^\$\.\w/.test(value));
}

/** Refuses parameters that the pipeline does not have or would not take, and the lack of those that have no default. */
export function checkParameters(pipeline: IPipeline, parameters: StartParameters, refusals: Refusals): void {
  const given = Object.entries(parameters);
  if (given.length > MOST_PARAMETERS)
    refusals.add('parameters', `${given.length} of them`, `${MOST_PARAMETERS}`, 'leave out those with a default');
  for (const [name, value] of given) {
    if (isLater(value) || String(value).length <= LONGEST_VALUE) continue;
    const fix = 'put it into S3, and give its URI';
    refusals.add(`parameters.${name}`, `${String(value).length} characters`, `${LONGEST_VALUE}`, fix);
  }
  if (!(pipeline instanceof SageMakerPipeline)) return;
  const known = new Map(pipeline.parameters.map((parameter) => [parameter.name, parameter]));
  const names = [...known.keys()].join(', ') || 'none';
  for (const [name, value] of given) {
    const parameter = known.get(name);
    const allowed = parameter ? !isLater(value) && problemOf(parameter, value) : `a parameter of it: ${names}`;
    if (!allowed) continue;
    if (parameter) refusals.add(`parameters.${name}`, `'${value}'`, allowed, 'give one of those');
    else refusals.add(`parameters.${name}`, `not one of ${pipeline.pipelineName}`, allowed, 'correct the name');
  }
  for (const [name, parameter] of known) {
    if (name in parameters || parameter.toDefinition().DefaultValue !== undefined) continue;
    const fix = `give ${name} in parameters, or a default to the pipeline's parameter`;
    refusals.add(`parameters.${name}`, 'left out, and it has no default', 'a value', fix);
  }
}

/** Refuses what EventBridge and its Scheduler would not take. */
export function checkDelivery({ retryAttempts, maxEventAge }: DeliveryProps, refusals: Refusals): void {
  refusals.whole('retryAttempts', retryAttempts, 0, 185);
  refusals.within('maxEventAge', maxEventAge, Duration.minutes(1), Duration.days(1));
}

/** Parameters as the services take them. */
export function parameterList(parameters: StartParameters = {}): { readonly name: string; readonly value: string }[] {
  return Object.entries(parameters).map(([name, value]) => ({ name, value: String(value) }));
}

/** The queue for what could not be delivered: the one that is given, else one made here. */
export function deadLetters(scope: Construct, { deadLetterQueue, key }: DeliveryProps): IQueue {
  return deadLetterQueue ?? makeDeadLetters(scope, key);
}

function makeDeadLetters(scope: Construct, key: IKey | undefined): Queue {
  const queue = new Queue(scope, 'DeadLetters', {
    ...encryption(key),
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
  });
  acknowledge(queue, {
    id: 'AwsSolutions-SQS3',
    reason:
      'it is itself the dead letter queue, of EventBridge: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html',
  });
  return queue;
}

/** Lets EventBridge put what it has for a rule into a queue, and use its key: for this rule and this account alone. */
export function allowEvents(queue: IQueue, rule: Rule, key: IKey | undefined): void {
  const principals = [new ServicePrincipal('events.amazonaws.com')];
  queue.addToResourcePolicy(
    new PolicyStatement({
      principals,
      actions: ['sqs:SendMessage'],
      resources: [queue.queueArn],
      conditions: { ArnEquals: { 'aws:SourceArn': rule.ruleArn } },
    }),
  );
  key?.addToResourcePolicy(
    new PolicyStatement({
      principals,
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: ['*'],
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(rule).account } },
    }),
  );
}

/** Queues are encrypted, with the key where there is one. */
export function encryption(key: IKey | undefined) {
  return key
    ? { encryption: QueueEncryption.KMS, encryptionMasterKey: key }
    : { encryption: QueueEncryption.SQS_MANAGED };
}
