// A trigger: starts a pipeline by the clock, once or again and again.
import { Duration, Stack, Token } from 'aws-cdk-lib';
import { Schedule, type ScheduleExpression, TimeWindow } from 'aws-cdk-lib/aws-scheduler';
import { SageMakerStartPipelineExecution } from 'aws-cdk-lib/aws-scheduler-targets';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ManagedRole } from '../stages/access/managed-role';
import { Refusals } from '../stages/checks/refusals';
import {
  checkDelivery,
  checkParameters,
  type DeliveryProps,
  deadLetters,
  parameterList,
  type StartProps,
} from './start';

/** When what is started. */
export interface PipelineScheduleProps extends StartProps, DeliveryProps {
  /** When: `ScheduleExpression.cron`, `.rate` or `.at`; a cron expression may have a time zone. */
  readonly schedule: ScheduleExpression;
  /** The start may be as much later, so that not all of a hospital's schedules begin at once. @default it is not */
  readonly flexibleWindow?: Duration;
  /** The first moment at which it starts the pipeline. @default when it is deployed */
  readonly start?: Date;
  /** After which it starts nothing. @default never */
  readonly end?: Date;
  /** @default true */
  readonly enabled?: boolean;
  /** @default CloudFormation chooses one */
  readonly scheduleName?: string;
  /** @default none */
  readonly description?: string;
}

/** What each field of a cron expression may be, and what AWS asks of the days. */
function cronProblem(fields: readonly string[]): string | undefined {
  if (fields.length !== 6) return 'six fields: minutes, hours, day of month, month, day of week, year';
  if ((fields[2] === '?') === (fields[4] === '?')) return 'a ? for exactly one of day of month and day of week';
  return undefined;
}

/** What is wrong with an expression as it is written; undefined where nothing is. */
function expressionProblem(expression: string): string | undefined {
  const [, kind, body = ''] = /^(cron|rate|at)\((.*)\)$/.exec(expression) ?? [];
  if (kind === 'cron') return cronProblem(body.trim().split(/\s+/));
  if (kind === 'rate')
    return /^[1-9]\d* (?:minute|hour|day)s?$/.test(body) ? undefined : 'whole minutes, hours or days';
  if (kind === 'at') return Number.isNaN(Date.parse(`${body}Z`)) ? 'a moment, as 2030-01-31T06:00:00' : undefined;
  return 'cron(...), rate(...) or at(...)';
}

function check(construct: Construct, props: PipelineScheduleProps): void {
  const refusals = new Refusals(construct);
  const { schedule, flexibleWindow, start, end, pipeline, parameters = {} } = props;
  const { expressionString } = schedule;
  const allowed = Token.isUnresolved(expressionString) ? undefined : expressionProblem(expressionString);
  if (allowed !== undefined) {
    const fix = "write it with CDK's ScheduleExpression.cron, .rate or .at";
    refusals.add('schedule', `'${expressionString}'`, allowed, fix);
  }
  refusals.within('flexibleWindow', flexibleWindow, Duration.minutes(1), Duration.days(1));
  if (start && end && start >= end) {
    refusals.add('end', end.toISOString(), `a moment after start, ${start.toISOString()}`, 'exchange or correct them');
  }
  checkParameters(pipeline, parameters, refusals);
  checkDelivery(props, refusals);
  refusals.throwIfAny();
}

/**
 * Starts the pipeline by the clock, through EventBridge Scheduler, whose role may start this pipeline and nothing else.
 *
 * An execution begins also while an earlier one goes on; for a pipeline that takes longer than the time between two starts,
 * choose a longer one.
 */
export class PipelineSchedule extends Construct {
  /** The scheduler's own. */
  readonly schedule: Schedule;
  /** Holds what could not be started; alarm on `deadLetterQueue.metricApproximateNumberOfMessagesVisible()`. */
  readonly deadLetterQueue: IQueue;

  /** @throws PipelineError naming all that is wrong with the trigger */
  constructor(scope: Construct, id: string, props: PipelineScheduleProps) {
    super(scope, id);
    check(this, props);
    const { pipeline, flexibleWindow, key, start, end, enabled, scheduleName, description } = props;
    this.deadLetterQueue = deadLetters(this, props);
    const role = schedulerRole(this, `Starts the pipeline ${pipeline.pipelineName} by the clock`, defaultGroup(this));
    this.deadLetterQueue.grantSendMessages(role);
    this.schedule = new Schedule(this, 'Schedule', {
      schedule: props.schedule,
      target: new SageMakerStartPipelineExecution(pipeline, {
        role,
        pipelineParameterList: parameterList(props.parameters),
        deadLetterQueue: this.deadLetterQueue,
        ...(props.retryAttempts !== undefined && { retryAttempts: props.retryAttempts }),
        ...(props.maxEventAge && { maxEventAge: props.maxEventAge }),
      }),
      ...(flexibleWindow && { timeWindow: TimeWindow.flexible(flexibleWindow) }),
      ...(key && { key }),
      ...(start && { start }),
      ...(end && { end }),
      ...(enabled !== undefined && { enabled }),
      ...(scheduleName !== undefined && { scheduleName }),
      ...(description !== undefined && { description }),
    });
    this.schedule.node.addDependency(pipeline);
  }
}

/** A role for the schedules of one group alone: https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html */
export function schedulerRole(scope: Construct, description: string, groupArn: string): ManagedRole {
  return new ManagedRole(scope, 'Role', {
    service: 'scheduler.amazonaws.com',
    description,
    conditions: { StringEquals: { 'aws:SourceArn': groupArn } },
  });
}

/** The group that a schedule is in unless it is said otherwise. */
function defaultGroup(scope: Construct): string {
  return Stack.of(scope).formatArn({ service: 'scheduler', resource: 'schedule-group', resourceName: 'default' });
}
