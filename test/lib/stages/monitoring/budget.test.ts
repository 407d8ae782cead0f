// The budget: what it counts, when it tells whom, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Budget, type BudgetProps, Notification } from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';
import { idOf, refusedProps } from '../../small-pipeline';

const EMAILS = ['mri@example.org'];

function synth(props: (stack: Stack) => Partial<BudgetProps> = () => ({})) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  new Budget(stack, 'Costs', { monthlyLimit: 500, emails: EMAILS, ...props(stack) });
  const template = Template.fromStack(stack);
  const { Properties } = template.findResources('AWS::Budgets::Budget')[idOf(template, 'AWS::Budgets::Budget')] ?? {};
  const told = Properties.NotificationsWithSubscribers.map(
    ({ Notification: { NotificationType, Threshold } }: { Notification: Record<string, unknown> }) =>
      `${NotificationType} ${Threshold}`,
  );
  return { template, budget: Properties.Budget, told, notifications: Properties.NotificationsWithSubscribers };
}

test('what SageMaker costs in a month is told at 80 and 100 percent, and when 100 are forecast', () => {
  const { budget, told, notifications } = synth();
  assert.deepEqual(budget, {
    BudgetType: 'COST',
    TimeUnit: 'MONTHLY',
    BudgetLimit: { Amount: 500, Unit: 'USD' },
    CostFilters: { Service: ['Amazon SageMaker'] },
  });
  assert.deepEqual(told, ['ACTUAL 80', 'ACTUAL 100', 'FORECASTED 100']);
  assert.deepEqual(notifications[0], {
    Notification: {
      NotificationType: 'ACTUAL',
      Threshold: 80,
      ThresholdType: 'PERCENTAGE',
      ComparisonOperator: 'GREATER_THAN',
    },
    Subscribers: [{ SubscriptionType: 'EMAIL', Address: 'mri@example.org' }],
  });
});

test('tags, services, thresholds and a name that are given are taken', () => {
  const { budget, told } = synth(() => ({
    tags: { Project: 'chest' },
    services: [],
    actualThresholds: [50],
    forecastThresholds: [],
    budgetName: 'mri',
  }));
  assert.deepEqual(budget.CostFilters, { TagKeyValue: ['user:Project$chest'] });
  assert.equal(budget.BudgetName, 'mri');
  assert.deepEqual(told, ['ACTUAL 50']);
});

test('the topic of a notification is told, and may be published to before the budget is made', () => {
  const { template, notifications } = synth((stack) => ({
    emails: [],
    topic: new Notification(stack, 'Tell', {}).topic,
  }));
  const topic = { SubscriptionType: 'SNS', Address: { Ref: idOf(template, 'AWS::SNS::Topic') } };
  assert.deepEqual(notifications[0].Subscribers, [topic]);
  const [budget] = Object.values(template.findResources('AWS::Budgets::Budget'));
  assert.ok(budget?.DependsOn.includes(idOf(template, 'AWS::SNS::TopicPolicy')));
});

const refused: Record<string, [Partial<BudgetProps>, string[]]> = {
  'a limit of nothing': [{ monthlyLimit: 0 }, ['monthlyLimit']],
  'a limit that is no number': [{ monthlyLimit: Number.NaN }, ['monthlyLimit']],
  'nobody who is told': [{ emails: [] }, ['emails']],
  'an address that is none': [{ emails: ['mri at example'] }, ['emails']],
  'more than ten addresses': [{ emails: Array.from({ length: 11 }, (_, i) => `a${i}@b.org`) }, ['emails']],
  'a threshold of nothing': [{ actualThresholds: [0] }, ['actualThresholds']],
  'a forecast twice': [{ forecastThresholds: [100, 100] }, ['forecastThresholds']],
  'no threshold': [{ actualThresholds: [], forecastThresholds: [] }, ['actualThresholds']],
  'more than five thresholds': [{ actualThresholds: [10, 20, 30, 40, 50] }, ['actualThresholds']],
  'a tag with a $': [{ tags: { a$b: 'c' } }, ['tags']],
  'a name with a colon': [{ budgetName: 'a:b' }, ['budgetName']],
  'all of it, at once': [
    { monthlyLimit: -1, emails: [], forecastThresholds: [-5] },
    ['monthlyLimit', 'emails', 'forecastThresholds'],
  ],
};

for (const [what, [props, findings]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.deepEqual(
      refusedProps(() => synth(() => props)),
      findings,
    );
  });
}
