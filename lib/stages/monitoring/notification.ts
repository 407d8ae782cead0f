// The notification stage: tells people by e-mail, or a topic, how executions end and which models wait for their approval.
import { Annotations, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { EventField, type EventPattern, type IRuleTarget, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import type { IPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import { Refusals } from '../checks/refusals';
import { modelPackageEvents } from '../registry/model-package-events';
import { pipelineArns } from '../sagemaker-pipeline';
import { checkEmails } from './email';

/** What an execution may come to. */
export type ExecutionStatus = 'Executing' | 'Stopping' | 'Stopped' | 'Failed' | 'Succeeded';

/** Who is told of what. */
export interface NotificationProps {
  /** Whose executions are told of. @default none */
  readonly pipelines?: readonly IPipeline[];
  /** What of them is told. @default Failed, Stopped and Succeeded */
  readonly statuses?: readonly ExecutionStatus[];
  /** Names of the model package groups whose versions that wait for approval are told of. @default none */
  readonly modelPackageGroups?: readonly string[];
  /** Who is told; each is asked by e-mail to confirm first. @default nobody, until they subscribe to the topic */
  readonly emails?: readonly string[];
  /**
   * An existing topic, which must let events.amazonaws.com publish, and its key be used by it.
   *
   * @default one is made, encrypted, that this account's EventBridge, CloudWatch alarms and Budgets may publish to
   */
  readonly topic?: ITopic;
  /** Encrypts the topic that is made; of this app, for an imported key's policy cannot be changed. @default one is made */
  readonly key?: IKey;
}

/** Services that tell of pipelines, of alarms and of costs. */
const PUBLISHERS = ['events.amazonaws.com', 'cloudwatch.amazonaws.com', 'budgets.amazonaws.com'];

function check(construct: Construct, props: NotificationProps): void {
  const refusals = new Refusals(construct);
  const { statuses, pipelines = [], emails = [], topic, key, modelPackageGroups = [] } = props;
  checkEmails(emails, refusals);
  if (statuses?.length === 0) refusals.add('statuses', 'empty', 'at least one', 'leave it out for the three ends');
  if (statuses && pipelines.length === 0)
    refusals.add('statuses', 'given without pipelines', 'it with pipelines', 'name the pipelines');
  if (topic && key) refusals.add('key', 'given, and so is topic', 'it for a topic that is made here', 'leave it out');
  if (modelPackageGroups.includes(''))
    refusals.add('modelPackageGroups', 'empty', 'names of model package groups', 'give them');
  refusals.throwIfAny();
}

/** Tells people of executions, and of versions that wait for approval. */
export class Notification extends Construct {
  /** For subscribers other than e-mail, and as the topic of alarms and budgets. */
  readonly topic: ITopic;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: NotificationProps) {
    super(scope, id);
    check(this, props);
    const {
      pipelines = [],
      modelPackageGroups = [],
      statuses = ['Failed', 'Stopped', 'Succeeded'],
      emails = [],
    } = props;
    this.topic = props.topic ?? this.makeTopic(props);
    for (const email of emails) this.topic.addSubscription(new EmailSubscription(email));
    if (pipelines.length > 0) this.tell('Executions', executionEvents(pipelines, statuses), EXECUTION_MESSAGE);
    if (modelPackageGroups.length > 0) {
      this.tell('Approvals', modelPackageEvents(modelPackageGroups, ['PendingManualApproval']), APPROVAL_MESSAGE);
    }
  }

  private tell(id: string, eventPattern: EventPattern, message: string): void {
    const description = `${id} that are told to ${this.node.path}`;
    // not CDK's target, which would let everybody's EventBridge publish
    const target: IRuleTarget = {
      bind: () => ({ arn: this.topic.topicArn, input: RuleTargetInput.fromText(message), targetResource: this.topic }),
    };
    new Rule(this, id, { description, eventPattern, targets: [target] });
  }

  private makeTopic({ key }: NotificationProps): Topic {
    const masterKey =
      key ??
      new Key(this, 'Key', {
        description: 'Messages about pipelines',
        enableKeyRotation: true,
        // a message that was sent is not kept, so nothing is lost with its key
        removalPolicy: RemovalPolicy.DESTROY,
      });
    const topic = new Topic(this, 'Topic', { masterKey, enforceSSL: true });
    const principals = PUBLISHERS.map((service) => new ServicePrincipal(service));
    const conditions = { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } };
    topic.addToResourcePolicy(
      new PolicyStatement({ principals, actions: ['sns:Publish'], resources: [topic.topicArn], conditions }),
    );
    const { statementAdded } = masterKey.addToResourcePolicy(
      new PolicyStatement({
        principals,
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions,
      }),
    );
    if (!statementAdded) {
      Annotations.of(this).addWarningV2(
        'scanline:notificationKey',
        `the policy of the imported key must allow ${PUBLISHERS.join(', ')} kms:Decrypt and kms:GenerateDataKey*, or nothing is told`,
      );
    }
    return topic;
  }
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html */
function executionEvents(pipelines: readonly IPipeline[], statuses: readonly ExecutionStatus[]): EventPattern {
  return {
    source: ['aws.sagemaker'],
    detailType: ['SageMaker Model Building Pipeline Execution Status Change'],
    detail: { currentPipelineExecutionStatus: [...statuses], pipelineArn: pipelines.flatMap(pipelineArns) },
  };
}

const field = (path: string) => EventField.fromPath(`$.detail.${path}`);

const EXECUTION_MESSAGE = [
  `An execution of a pipeline is ${field('currentPipelineExecutionStatus')}.`,
  `Pipeline: ${field('pipelineArn')}`,
  `Execution: ${field('pipelineExecutionArn')}`,
  `From ${field('executionStartTime')} to ${field('executionEndTime')}`,
  `Its steps: npx scanline watch ${field('pipelineExecutionArn')}`,
].join('\n');

const APPROVAL_MESSAGE = [
  `A model waits for approval: version ${field('ModelPackageVersion')} of ${field('ModelPackageGroupName')}.`,
  `Made by: ${field('MetadataProperties.GeneratedBy')}`,
  `To approve it: aws sagemaker update-model-package --model-package-arn ${field('ModelPackageArn')} --model-approval-status Approved`,
  'To reject it: the same with Rejected.',
].join('\n');
