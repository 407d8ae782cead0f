// What a pipeline grants and measures, and its stages: metrics by SageMaker's own names, permissions on it and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { AccountPrincipal, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { SageMakerStartPipelineExecution } from 'aws-cdk-lib/aws-scheduler-targets';
import { ByocImage, ByocTraining } from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';
import { smallPipeline, statementsOf } from '../small-pipeline';

const NAMESPACE = 'AWS/Sagemaker/ModelBuildingPipeline';

/** A metric as CloudWatch takes it. */
function written(stack: Stack, metric: Metric) {
  const { metricStat } = metric.toMetricConfig();
  assert.ok(metricStat);
  const { namespace, metricName, statistic, period } = metricStat;
  const dimensions = stack.resolve(metricStat.dimensions);
  return { namespace, metricName, dimensions, statistic, period: period.toSeconds() };
}

test("a pipeline's metrics have its name, sums of counts and the average of durations", () => {
  const { stack, pipeline } = smallPipeline();
  const dimensions = [{ name: 'PipelineName', value: 'Planes' }];
  const counts = {
    ExecutionStarted: pipeline.metricStarted(),
    ExecutionSucceeded: pipeline.metricSucceeded(),
    ExecutionFailed: pipeline.metricFailed(),
    ExecutionStopped: pipeline.metricStopped(),
  };
  for (const [metricName, metric] of Object.entries(counts)) {
    const expected = { namespace: NAMESPACE, metricName, dimensions, statistic: 'Sum', period: 300 };
    assert.deepEqual(written(stack, metric), expected);
  }
  assert.equal(written(stack, pipeline.metricDuration()).statistic, 'Average');
  assert.equal(written(stack, pipeline.metricFailed({ period: Duration.hours(1) })).period, 3600);
});

test("a stage's metrics have the names of the pipeline and of the step", () => {
  const { stack, training } = smallPipeline();
  const metrics = {
    StepStarted: training.metricStarted(),
    StepSucceeded: training.metricSucceeded(),
    StepFailed: training.metricFailed(),
    StepStopped: training.metricStopped(),
    StepDuration: training.metricDuration(),
  };
  for (const [metricName, metric] of Object.entries(metrics)) {
    const actual = written(stack, metric);
    assert.equal(actual.metricName, metricName);
    assert.deepEqual(actual.dimensions, [
      { name: 'PipelineName', value: 'Planes' },
      { name: 'StepName', value: 'Train' },
    ]);
  }
});

test('a metric that is asked for before a pipeline has the step is refused only where none ever has it', () => {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const training = new ByocTraining(stack, 'Train', {
    channels: {},
    output: 's3://b/out',
    image: ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'),
    role: new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') }),
  });
  const metric = training.metricFailed();
  assert.throws(() => written(stack, metric), /step Train: it has no metrics[\s\S]*SageMakerPipeline/);
});

test('who may start it may start it and nothing else, by both spellings of its ARN', () => {
  const { stack, pipeline } = smallPipeline();
  const role = new Role(stack, 'Starter', { assumedBy: new AccountPrincipal('111122223333') });
  pipeline.grantStartPipelineExecution(role);
  const statements = statementsOf(Template.fromStack(stack), role);
  assert.equal(statements.length, 1);
  assert.equal(statements[0]?.Action, 'sagemaker:StartPipelineExecution');
  assert.match(JSON.stringify(statements[0]?.Resource), /pipeline\/Planes"[\s\S]*pipeline\/planes"/);
});

test('who may read or stop it may do so with its executions alone', () => {
  const { stack, pipeline } = smallPipeline();
  const role = new Role(stack, 'Reader', { assumedBy: new AccountPrincipal('111122223333') });
  pipeline.grantRead(role);
  pipeline.grantStop(role);
  const text = JSON.stringify(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.doesNotMatch(text, /"Resource":"\*"|sagemaker:\*/);
  assert.match(text, /sagemaker:ListPipelineExecutionSteps/);
  assert.match(text, /"sagemaker:StopPipelineExecution"[\s\S]*pipeline\/planes\/execution\/\*/);
});

test("CDK's own schedule takes the pipeline", () => {
  const { stack, pipeline } = smallPipeline();
  const schedule = ScheduleExpression.rate(Duration.days(1));
  new Schedule(stack, 'Daily', { schedule, target: new SageMakerStartPipelineExecution(pipeline) });
  Template.fromStack(stack).hasResourceProperties('AWS::Scheduler::Schedule', { ScheduleExpression: 'rate(1 day)' });
});
