// A trigger: a model that is approved, or rejected, starts another pipeline or whatever else EventBridge can start.
import { type CfnRule, type IRuleTarget, Rule } from 'aws-cdk-lib/aws-events';
import type { IPipeline } from 'aws-cdk-lib/aws-sagemaker';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ManagedRole } from '../stages/access/managed-role';
import { Refusals } from '../stages/checks/refusals';
import { type ModelApprovalStatus, modelPackageEvents } from '../stages/registry/model-package-events';
import {
  allowEvents,
  checkDelivery,
  checkParameters,
  type DeliveryProps,
  deadLetters,
  parameterList,
  type StartParameters,
} from './start';

/** Whose versions are listened to, and what is started. */
export interface ModelApprovalProps extends DeliveryProps {
  /** Name of the model package group, e.g. `registration.group.modelPackageGroupName`. */
  readonly groupName: string;
  /** What starts it. @default Approved */
  readonly statuses?: readonly ModelApprovalStatus[];
  /** What is started; needed unless there is a `target`. @default none */
  readonly pipeline?: IPipeline;
  /**
   * What is chosen at the start of the pipeline; a value may be a path into the event, as `ModelApproval.modelPackageArn`.
   *
   * @default the parameters' defaults
   */
  readonly parameters?: StartParameters;
  /** What is started instead of a pipeline, e.g. a Lambda function; it brings its own role, attempts and dead letter queue. @default none */
  readonly target?: IRuleTarget;
}

function check(construct: Construct, props: ModelApprovalProps): void {
  const refusals = new Refusals(construct);
  const { pipeline, target, parameters, statuses, groupName } = props;
  if ((pipeline === undefined) === (target === undefined)) {
    const given = pipeline === undefined ? 'left out, and so is target' : 'given, and so is target';
    refusals.add('pipeline', given, 'exactly one of them', 'give what is to be started');
  }
  if (target) {
    const own = ['parameters', 'deadLetterQueue', 'retryAttempts', 'maxEventAge'] as const;
    for (const prop of own.filter((name) => props[name] !== undefined))
      refusals.add(prop, 'given, and so is target', 'it with pipeline alone', 'give it to the target, or leave it out');
  }
  if (groupName === '') refusals.add('groupName', 'empty', 'the name of a model package group', 'give it');
  if (statuses?.length === 0) refusals.add('statuses', 'empty', 'at least one', 'leave it out for Approved');
  if (pipeline) checkParameters(pipeline, parameters ?? {}, refusals);
  checkDelivery(props, refusals);
  refusals.throwIfAny();
}

/**
 * Starts a pipeline, or another target, when a version of a model package group is approved: to deploy it, to run it on other
 * data, to tell somebody.
 *
 * SageMaker also tells of other changes to a version that is approved already, so what is started should be able to run twice.
 */
export class ModelApproval extends Construct {
  /** The ARN of the version, for a parameter of the pipeline. */
  static readonly modelPackageArn = '$.detail.ModelPackageArn';

  /** EventBridge's, which hears of the versions. */
  readonly rule: Rule;
  /** Holds what could not be started; undefined with a `target`. */
  readonly deadLetterQueue?: IQueue;

  /** @throws PipelineError naming all that is wrong with the trigger */
  constructor(scope: Construct, id: string, props: ModelApprovalProps) {
    super(scope, id);
    check(this, props);
    const { groupName, statuses = ['Approved'], pipeline, target } = props;
    this.rule = new Rule(this, 'Rule', {
      description: `Versions of ${groupName} that become ${statuses.join(' or ')}`,
      eventPattern: modelPackageEvents([groupName], statuses),
    });
    if (target) this.rule.addTarget(target);
    else if (pipeline) this.deadLetterQueue = this.start(pipeline, props);
  }

  private start(pipeline: IPipeline, props: ModelApprovalProps): IQueue {
    const { retryAttempts, maxEventAge, parameters } = props;
    const role = new ManagedRole(this, 'Role', {
      service: 'events.amazonaws.com',
      description: `Starts the pipeline ${pipeline.pipelineName} when a model is approved`,
    });
    pipeline.grantStartPipelineExecution(role);
    const queue = deadLetters(this, props);
    this.rule.addTarget({
      bind: () => ({
        arn: pipeline.pipelineArn,
        role,
        deadLetterConfig: { arn: queue.queueArn },
        ...((retryAttempts !== undefined || maxEventAge) && {
          retryPolicy: {
            ...(retryAttempts !== undefined && { maximumRetryAttempts: retryAttempts }),
            ...(maxEventAge && { maximumEventAgeInSeconds: maxEventAge.toSeconds() }),
          },
        }),
      }),
    });
    // CDK's rules know no parameters of pipelines; the target is the only one
    const list = parameterList(parameters).map(({ name, value }) => ({ Name: name, Value: value }));
    const resource = this.rule.node.defaultChild as CfnRule;
    if (list.length > 0)
      resource.addPropertyOverride('Targets.0.SageMakerPipelineParameters.PipelineParameterList', list);
    allowEvents(queue, this.rule, props.key);
    this.rule.node.addDependency(pipeline);
    return queue;
  }
}
