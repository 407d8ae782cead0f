// What a pipeline grants and measures, and its stages: metrics by SageMaker's own names, permissions on it and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Aws, Duration, Lazy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { AccountPrincipal, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { SageMakerStartPipelineExecution } from 'aws-cdk-lib/aws-scheduler-targets';
import { ByocImage, ByocTraining, Dataset, FailStep, JobRole, LambdaStep, SageMakerPipeline } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
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

/** The definition as it stands in the template: one text, its tokens by what they come to. */
function definitionWith(inputs: Record<string, string | number>): Record<string, unknown> {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const ask = new LambdaStep('Ask', { functionArn: 'arn:aws:lambda:us-east-1:111122223333:function:ask', inputs });
  const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r');
  new SageMakerPipeline(stack, 'Pipeline', { pipelineName: 'p', role, steps: [ask] });
  const template = Template.fromStack(stack);
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = resolveTemplate(pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody, template.toJSON());
  return JSON.parse(body as string).Steps[0].Arguments;
}

test('a text that is known only when the app is synthesised is escaped in the definition', () => {
  assert.deepEqual(definitionWith({ note: Lazy.string({ produce: () => 'a "b"' }) }), { note: 'a "b"' });
});

test('a number that is known only when the app is synthesised is a number in the definition', () => {
  assert.deepEqual(definitionWith({ count: Lazy.number({ produce: () => 3 }) }), { count: 3 });
});

test('references of CloudFormation stand inside the texts of the definition', () => {
  assert.deepEqual(definitionWith({ where: `in ${Aws.REGION}` }), { where: 'in us-east-1' });
});

test('the role of the jobs is refused as that of the pipeline', () => {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const { bucket, key } = new Dataset(stack, 'Dataset');
  const role = new JobRole(stack, 'JobRole', { bucket, key, images: [] });
  const steps = [new FailStep('Stop', { errorMessage: 'stop' })];
  assert.throws(
    () => new SageMakerPipeline(stack, 'Pipeline', { pipelineName: 'p', role, steps }),
    /Test\/JobRole: role is a JobRole, which may not; allowed is a role that may start jobs\.\n +Fix: give it a PipelineRole/,
  );
});
