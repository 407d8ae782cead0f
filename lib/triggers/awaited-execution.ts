// A trigger for what must know how an execution ended, as CodePipeline: a state machine that starts the pipeline, waits, and fails with it.
import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { StateMachineInput, StepFunctionInvokeAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Choice,
  Condition,
  DefinitionBody,
  Fail,
  JsonPath,
  LogLevel,
  Pass,
  StateMachine,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import { CallAwsService } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import { Construct } from 'constructs';
import { ManagedRole } from '../stages/access/managed-role';
import { Refusals } from '../stages/checks/refusals';
import { encryptedLogs } from '../stages/monitoring/log-group';
import { executionArns, pipelineArns } from '../stages/sagemaker-pipeline';
import { checkParameters, parameterList, type StartProps } from './start';

/** What is started and waited for. */
export interface AwaitedExecutionProps extends StartProps {
  /**
   * How long to wait before the execution is looked at; each time a second longer, so that the 25,000 events that Step Functions
   * keeps of one waiting are enough for a month with the default.
   *
   * @default a minute
   */
  readonly pollInterval?: Duration;
  /** After which waiting fails; the execution itself goes on. @default a year, the longest that Step Functions waits */
  readonly timeout?: Duration;
  /** Encrypts the log. @default CloudWatch's own */
  readonly key?: IKey;
}

/** How the action stands in its CodePipeline. */
export interface ExecutionActionProps {
  /** Actions of a stage with the same number run at the same time. @default 1 */
  readonly runOrder?: number;
  /** What the state machine gets, for parameters with `JsonPath`, e.g. { commit: '#{Source.CommitId}' }. @default nothing */
  readonly input?: Readonly<Record<string, string>>;
}

/** By what the states know the execution. */
const ARN = 'PipelineExecutionArn';

/** Where the states find how it stands. */
const STATUS = '$.execution.PipelineExecutionStatus';
const REASON = '$.execution.FailureReason';

function check(construct: Construct, props: AwaitedExecutionProps): void {
  const refusals = new Refusals(construct);
  const { pipeline, parameters = {}, pollInterval, timeout } = props;
  checkParameters(pipeline, parameters, refusals);
  refusals.within('pollInterval', pollInterval, Duration.seconds(1), Duration.hours(1));
  refusals.within('timeout', timeout, Duration.minutes(1), Duration.days(365));
  refusals.throwIfAny();
}

/**
 * CodePipeline has no action for a pipeline of SageMaker; it has one for a state machine of Step Functions, and waits for that.
 * This one costs some cents a day while the pipeline runs: a build that waited would be paid by the minute, and a function would
 * end after a quarter of an hour. CodePipeline gives such an action seven days. Starting is repeated safely, by a token made of the
 * state machine's own execution.
 */
export class AwaitedExecution extends Construct {
  /** Starts the execution and looks until it is over. */
  readonly stateMachine: StateMachine;

  /** @throws PipelineError naming all that is wrong with the trigger */
  constructor(scope: Construct, id: string, props: AwaitedExecutionProps) {
    super(scope, id);
    check(this, props);
    const { pipeline, key, timeout } = props;
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      comment: `Starts the pipeline ${pipeline.pipelineName}, and ends as its execution does`,
      definitionBody: DefinitionBody.fromChainable(this.states(props)),
      role: this.makeRole(props),
      tracingEnabled: true,
      logs: { destination: encryptedLogs(this, 'Logs', key), level: LogLevel.ALL },
      ...(timeout && { timeout }),
    });
    this.stateMachine.node.addDependency(pipeline);
  }

  /** An action for a stage of CodePipeline that ends as the execution does. */
  codePipelineAction(actionName: string, { runOrder, input }: ExecutionActionProps = {}): StepFunctionInvokeAction {
    return new StepFunctionInvokeAction({
      actionName,
      stateMachine: this.stateMachine,
      ...(runOrder !== undefined && { runOrder }),
      ...(input && { stateMachineInput: StateMachineInput.literal(input) }),
    });
  }

  private states({ pipeline, parameters, pollInterval = Duration.minutes(1) }: AwaitedExecutionProps) {
    const list = parameterList(parameters).map(({ name, value }) => ({ Name: name, Value: value }));
    const start = new CallAwsService(this, 'Start', {
      service: 'sagemaker',
      action: 'startPipelineExecution',
      parameters: {
        PipelineName: pipeline.pipelineName,
        ClientRequestToken: JsonPath.hash(JsonPath.executionId, 'SHA-256'),
        ...(list.length > 0 && { PipelineParameters: list }),
      },
      iamAction: 'sagemaker:StartPipelineExecution',
      iamResources: pipelineArns(pipeline),
      resultSelector: { [ARN]: JsonPath.stringAt(`$.${ARN}`), wait: pollInterval.toSeconds() },
    });
    const describe = new CallAwsService(this, 'Describe', {
      service: 'sagemaker',
      action: 'describePipelineExecution',
      parameters: { [ARN]: JsonPath.stringAt(`$.${ARN}`) },
      iamAction: 'sagemaker:DescribePipelineExecution',
      iamResources: executionArns(pipeline),
      resultPath: '$.execution',
    });
    const retry = { errors: ['States.ALL'], interval: Duration.seconds(5), backoffRate: 2 };
    // a start that is refused is told soon; an execution that is long under way is not given up for a bad quarter of an hour
    start.addRetry({ ...retry, maxAttempts: 3 });
    describe.addRetry({ ...retry, maxAttempts: 8 });
    const wait = new Wait(this, 'Wait', { time: WaitTime.secondsPath('$.wait') });
    const later = new Pass(this, 'Later', {
      parameters: { [ARN]: JsonPath.stringAt(`$.${ARN}`), wait: JsonPath.mathAdd(JsonPath.numberAt('$.wait'), 1) },
    });
    const ended = new Choice(this, 'Ended')
      .when(
        Condition.stringEquals(STATUS, 'Succeeded'),
        // an object, which CodePipeline makes variables of the action from
        new Pass(this, 'Succeeded', { parameters: { [ARN]: JsonPath.stringAt(`$.${ARN}`) } }),
      )
      .when(Condition.isPresent(REASON), this.failed('Failed', '{} is {}: {}', REASON))
      .when(
        Condition.or(Condition.stringEquals(STATUS, 'Failed'), Condition.stringEquals(STATUS, 'Stopped')),
        this.failed('FailedWithoutReason', '{} is {}'),
      )
      .otherwise(later.next(wait));
    return start.next(wait).next(describe).next(ended);
  }

  private failed(id: string, cause: string, ...paths: string[]): Fail {
    return new Fail(this, id, {
      error: 'PipelineExecutionFailed',
      causePath: JsonPath.format(cause, ...[`$.${ARN}`, STATUS, ...paths].map((path) => JsonPath.stringAt(path))),
    });
  }

  private makeRole({ pipeline }: AwaitedExecutionProps): ManagedRole {
    const stateMachines = Stack.of(this).formatArn({
      service: 'states',
      resource: 'stateMachine',
      resourceName: '*',
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const role = new ManagedRole(this, 'Role', {
      service: 'states.amazonaws.com',
      description: `Starts the pipeline ${pipeline.pipelineName}, and looks how it ends`,
      conditions: { ArnLike: { 'aws:SourceArn': stateMachines } },
    });
    const chosen = 'the executions of one pipeline: SageMaker chooses their names';
    for (const arn of executionArns(pipeline)) role.acknowledgeWildcard(arn, chosen);
    role.acknowledgeWildcard('*', 'log deliveries and traces take no resource: as Step Functions asks for them');
    return role;
  }
}
