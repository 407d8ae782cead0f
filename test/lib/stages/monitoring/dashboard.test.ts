// The dashboard and the alarms: which metrics they show and watch, found from the pipeline itself; and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { PipelineDashboard, type PipelineDashboardProps, SageMakerPipeline } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { ConditionStep, equals, FailStep, type ParameterString } from '../../../../lib/pipeline';
import { idOf, refusedProps, smallPipeline } from '../../small-pipeline';

interface Widget {
  readonly type: string;
  readonly properties: { readonly title: string; readonly metrics: readonly unknown[][] };
}

function synth(props: (stack: Stack) => Partial<PipelineDashboardProps> = () => ({})) {
  const { stack, pipeline } = smallPipeline({ metricDefinitions: { train_loss: 'loss=([0-9.]+)' } });
  new PipelineDashboard(stack, 'Board', { pipeline, ...props(stack) });
  const template = Template.fromStack(stack);
  const board = template.findResources('AWS::CloudWatch::Dashboard')[idOf(template, 'AWS::CloudWatch::Dashboard')];
  const { widgets } = JSON.parse(
    resolveTemplate(board?.Properties.DashboardBody, template.toJSON() as never) as string,
  );
  const graphOf = (title: string) => (widgets as Widget[]).find(({ properties }) => properties.title === title);
  return { template, graphOf, widgets: widgets as Widget[] };
}

/** The SEARCH expressions of a graph. */
function searches(widget: Widget | undefined): string[] {
  return (widget?.properties.metrics ?? []).map(([metric]) => (metric as { expression: string }).expression);
}

test('executions and their duration are shown, by the name of the pipeline', () => {
  const { graphOf } = synth();
  const metrics = graphOf('Executions a day')?.properties.metrics ?? [];
  assert.deepEqual(
    metrics.map(([namespace, name, dimension, value]) => [namespace, name, dimension, value].join(' ')),
    ['Started', 'Succeeded', 'Failed', 'Stopped'].map(
      (end) => `AWS/Sagemaker/ModelBuildingPipeline Execution${end} PipelineName Planes`,
    ),
  );
  assert.match(JSON.stringify(graphOf('Duration of executions')), /ExecutionDuration/);
});

test('each step has its duration and its failures, and a step that only fails has no line', () => {
  const { stack, pipeline, training } = smallPipeline();
  const fail = new FailStep('TooBad', { errorMessage: 'no' });
  const gate = new ConditionStep('Gate', {
    conditions: [equals(pipeline.parameters[0] as ParameterString, 'a')],
    ifSteps: [],
    elseSteps: [fail],
  });
  const steps = [training.step, gate];
  const role = training.node.scope?.node.findChild('Role') as never;
  const other = new SageMakerPipeline(stack, 'Other', {
    pipelineName: 'o',
    role,
    steps,
    parameters: pipeline.parameters,
  });
  new PipelineDashboard(stack, 'Board', { pipeline: other });
  const text = JSON.stringify(Template.fromStack(stack).findResources('AWS::CloudWatch::Dashboard'));
  for (const name of ['StepDuration', 'StepFailed'])
    for (const step of ['Train', 'Gate']) assert.match(text, new RegExp(`${name}[^\\]]*StepName[^\\]]*${step}`));
  assert.doesNotMatch(text, /TooBad/);
});

test('each metric that a training step finds in its log is a graph of all its jobs', () => {
  const { graphOf } = synth();
  assert.deepEqual(searches(graphOf('Train: train_loss')), [
    `SEARCH('{/aws/sagemaker/TrainingJobs,TrainingJobName} MetricName="train_loss" pipelines Train', 'Average', 60)`,
  ]);
});

test('a training step has the utilisation of CPU, GPU, memory and disk', () => {
  const found = searches(synth().graphOf('Train: utilisation'));
  const names = ['CPUUtilization', 'MemoryUtilization', 'DiskUtilization', 'GPUUtilization', 'GPUMemoryUtilization'];
  assert.deepEqual(
    found,
    names.map(
      (name) => `SEARCH('{/aws/sagemaker/TrainingJobs,Host} MetricName="${name}" pipelines Train', 'Average', 60)`,
    ),
  );
});

test('other graphs are added, as of an endpoint', () => {
  const metric = new Metric({ namespace: 'AWS/SageMaker', metricName: 'ModelLatency' });
  const { graphOf } = synth(() => ({ graphs: { Endpoint: [metric] } }));
  assert.deepEqual(graphOf('Endpoint')?.properties.metrics[0]?.slice(0, 2), ['AWS/SageMaker', 'ModelLatency']);
});

test('an execution that fails is an alarm, and one that took longer where that is asked for', () => {
  const { template } = synth((stack) => ({ maxDuration: Duration.hours(6), alarmTopic: new Topic(stack, 'Topic') }));
  const AlarmActions = [{ Ref: idOf(template, 'AWS::SNS::Topic') }];
  const TreatMissingData = 'notBreaching';
  template.hasResourceProperties('AWS::CloudWatch::Alarm', {
    MetricName: 'ExecutionFailed',
    Statistic: 'Sum',
    Threshold: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData,
    AlarmActions,
  });
  template.hasResourceProperties('AWS::CloudWatch::Alarm', {
    MetricName: 'ExecutionDuration',
    Statistic: 'Maximum',
    Threshold: 21_600_000,
    ComparisonOperator: 'GreaterThanThreshold',
    TreatMissingData,
    AlarmActions,
  });
});

test('there is no alarm where none is wanted', () => {
  synth(() => ({ alarmOnFailure: false })).template.resourceCountIs('AWS::CloudWatch::Alarm', 0);
});

test('what is wrong is refused, all of it at once', () => {
  const props = { dashboardName: 'a b', graphs: { Empty: [] }, maxDuration: Duration.seconds(0) };
  assert.deepEqual(
    refusedProps(() => synth(() => props)),
    ['dashboardName', 'graphs.Empty', 'maxDuration'],
  );
});
