// The budget stage: what SageMaker may cost in a month, and who is told before and when it is more.
import { Stack, Token } from 'aws-cdk-lib';
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { Refusals } from '../checks/refusals';
import { checkEmails } from './email';

/** What may be spent, and who is told of it. */
export interface BudgetProps {
  /** US dollars a month. */
  readonly monthlyLimit: number;
  /** Who is told; at least one, or a topic. @default nobody */
  readonly emails?: readonly string[];
  /** Gets the alarms; budgets.amazonaws.com must be let publish, as a `Notification` lets it. @default none */
  readonly topic?: ITopic;
  /** Shares of the limit, in percent: who is told when that much is spent. @default 80 and 100 */
  readonly actualThresholds?: readonly number[];
  /** Shares of the limit, in percent: who is told when that much will be spent by the end of the month, as AWS forecasts. @default 100 */
  readonly forecastThresholds?: readonly number[];
  /** Only what has one of these tags counts, which must be active as cost allocation tags. @default all that the services cost */
  readonly tags?: Readonly<Record<string, string>>;
  /** As AWS's bills name them; empty for all. @default Amazon SageMaker */
  readonly services?: readonly string[];
  /** @default CloudFormation chooses one */
  readonly budgetName?: string;
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-budgets-budget.html */
const MOST_NOTIFICATIONS = 5;
const MOST_EMAILS = 10;

function checkThresholds(prop: string, thresholds: readonly number[], refusals: Refusals): void {
  const known = thresholds.filter((value) => !Token.isUnresolved(value));
  for (const value of known.filter((percent) => !(percent > 0 && percent <= 1000)))
    refusals.add(prop, value, 'percent of the limit, more than 0 and at most 1000', 'give e.g. 80');
  for (const value of new Set(known.filter((percent, index) => known.indexOf(percent) !== index)))
    refusals.add(prop, `${value} twice`, 'each once', 'leave out one');
}

function check(construct: Construct, props: BudgetProps): void {
  const refusals = new Refusals(construct);
  const { monthlyLimit, emails = [], topic, tags = {}, budgetName } = props;
  const { actualThresholds = [80, 100], forecastThresholds = [100] } = props;
  if (!Token.isUnresolved(monthlyLimit) && !(monthlyLimit > 0 && Number.isFinite(monthlyLimit)))
    refusals.add('monthlyLimit', monthlyLimit, 'dollars, more than 0', 'give what a month may cost');
  if (emails.length === 0 && !topic)
    refusals.add('emails', 'left out, and so is topic', 'somebody who is told', 'give emails or a topic');
  if (emails.length > MOST_EMAILS)
    refusals.add(
      'emails',
      `${emails.length} of them`,
      `${MOST_EMAILS}`,
      'give a topic, which may have more subscribers',
    );
  checkEmails(emails, refusals);
  checkThresholds('actualThresholds', actualThresholds, refusals);
  checkThresholds('forecastThresholds', forecastThresholds, refusals);
  const count = actualThresholds.length + forecastThresholds.length;
  if (count === 0 || count > MOST_NOTIFICATIONS) {
    const allowed = `1 to ${MOST_NOTIFICATIONS}, together with forecastThresholds`;
    refusals.add('actualThresholds', `${count} thresholds`, allowed, 'leave out some, or give one');
  }
  for (const name of Object.keys(tags).filter((key) => key === '' || key.includes('$')))
    refusals.add('tags', `'${name}'`, 'names of tags, without $', 'correct the name');
  if (budgetName !== undefined && !Token.isUnresolved(budgetName) && !/^[^:\\]{1,100}$/.test(budgetName))
    refusals.add('budgetName', `'${budgetName}'`, 'up to 100 letters without : and \\', 'give another name');
  refusals.throwIfAny();
}

/** A budget tells; it stops nothing. AWS looks at the costs some times a day. */
export class Budget extends Construct {
  /** As CloudFormation knows it. */
  readonly budget: CfnBudget;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: BudgetProps) {
    super(scope, id);
    check(this, props);
    const { monthlyLimit, actualThresholds = [80, 100], forecastThresholds = [100], tags = {}, budgetName } = props;
    const { services = ['Amazon SageMaker'] } = props;
    const tagValues = Object.entries(tags).map(([name, value]) => `user:${name}$${value}`);
    this.budget = new CfnBudget(this, 'Budget', {
      budget: {
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: monthlyLimit, unit: 'USD' },
        costFilters: {
          ...(services.length > 0 && { Service: services }),
          ...(tagValues.length > 0 && { TagKeyValue: tagValues }),
        },
        ...(budgetName !== undefined && { budgetName }),
      },
      notificationsWithSubscribers: [
        ...actualThresholds.map((threshold) => this.notification('ACTUAL', threshold, props)),
        ...forecastThresholds.map((threshold) => this.notification('FORECASTED', threshold, props)),
      ],
    });
    // what may publish must be known before the budget is made
    if (props.topic && Stack.of(props.topic) === Stack.of(this)) this.budget.node.addDependency(props.topic);
  }

  private notification(notificationType: string, threshold: number, { emails = [], topic }: BudgetProps) {
    return {
      notification: { notificationType, threshold, thresholdType: 'PERCENTAGE', comparisonOperator: 'GREATER_THAN' },
      subscribers: [
        ...emails.map((address) => ({ subscriptionType: 'EMAIL', address })),
        ...(topic ? [{ subscriptionType: 'SNS', address: topic.topicArn }] : []),
      ],
    };
  }
}
