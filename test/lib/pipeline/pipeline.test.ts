// A pipeline's definition: what parameters and steps become in the JSON that SageMaker takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConditionStep,
  dependenciesOf,
  equals,
  FailStep,
  ParameterBoolean,
  ParameterFloat,
  ParameterInteger,
  ParameterString,
  Pipeline,
  ProcessingStep,
  type StepDefinition,
  TrainingStep,
} from '../../../lib/pipeline';
import { PROCESSING, TRAINING } from './whole-steps';

function processing(name: string, options: Partial<ConstructorParameters<typeof ProcessingStep>[1]> = {}) {
  return new ProcessingStep(name, { arguments: PROCESSING, ...options });
}

const stepsOf = (pipeline: Pipeline) => pipeline.definition().Steps as StepDefinition[];

test('a definition has the version, and the experiment that SageMaker names by default', () => {
  const { Version, Metadata, PipelineExperimentConfig } = new Pipeline('p', { steps: [processing('A')] }).definition();
  assert.deepEqual(
    { Version, Metadata, PipelineExperimentConfig },
    {
      Version: '2020-12-01',
      Metadata: {},
      PipelineExperimentConfig: {
        ExperimentName: { Get: 'Execution.PipelineName' },
        TrialName: { Get: 'Execution.PipelineExecutionId' },
      },
    },
  );
});

test('parameters have a type, and a default and allowed values where they were given', () => {
  const parameters = [
    new ParameterString('Mode', { defaultValue: 'fast', enumValues: ['fast', 'good'] }),
    new ParameterInteger('Epochs', { defaultValue: 0 }),
    new ParameterFloat('Rate', { defaultValue: 0.5 }),
    new ParameterBoolean('Resume', { defaultValue: false }),
    new ParameterString('Required'),
  ];
  assert.deepEqual(new Pipeline('p', { parameters, steps: [processing('A')] }).definition().Parameters, [
    { Name: 'Mode', Type: 'String', DefaultValue: 'fast', EnumValues: ['fast', 'good'] },
    { Name: 'Epochs', Type: 'Integer', DefaultValue: 0 },
    { Name: 'Rate', Type: 'Float', DefaultValue: 0.5 },
    { Name: 'Resume', Type: 'Boolean', DefaultValue: false },
    { Name: 'Required', Type: 'String' },
  ]);
});

test('expressions inside arguments are written out', () => {
  const mode = new ParameterString('Mode');
  const step = new TrainingStep('Train', { arguments: { ...TRAINING, HyperParameters: { mode } } });
  assert.deepEqual(stepsOf(new Pipeline('p', { parameters: [mode], steps: [step] }))[0]?.Arguments, {
    ...TRAINING,
    HyperParameters: { mode: { Get: 'Parameters.Mode' } },
  });
});

test('a reference to a step is a dependency on it', () => {
  const first = processing('First');
  const second = new TrainingStep('Second', {
    arguments: { ...TRAINING, OutputDataConfig: { S3OutputPath: first.output('out') } },
  });
  const [, definition] = stepsOf(new Pipeline('p', { steps: [first, second] }));
  assert.deepEqual(dependenciesOf(definition as StepDefinition), ['First']);
});

test('a dependency that was given is written, and counts', () => {
  const first = processing('First');
  const [, definition] = stepsOf(new Pipeline('p', { steps: [first, processing('Second', { dependsOn: [first] })] }));
  assert.deepEqual(definition?.DependsOn, ['First']);
  assert.deepEqual(dependenciesOf(definition as StepDefinition), ['First']);
});

test("what a branch's steps refer to is no dependency of the condition", () => {
  const first = processing('First');
  const branch = new TrainingStep('Branch', { arguments: { ...TRAINING, RoleArn: first.output('out') } });
  const mode = new ParameterString('Mode');
  const gate = new ConditionStep('Gate', { conditions: [equals(mode, 'go')], ifSteps: [branch] });
  const [, definition] = stepsOf(new Pipeline('p', { parameters: [mode], steps: [first, gate] }));
  assert.deepEqual(dependenciesOf(definition as StepDefinition), []);
});

test('a condition has its branches inside', () => {
  const mode = new ParameterString('Mode');
  const gate = new ConditionStep('Gate', {
    conditions: [equals(mode, 'go')],
    ifSteps: [],
    elseSteps: [new FailStep('Stop', { errorMessage: 'no' })],
  });
  assert.deepEqual(stepsOf(new Pipeline('p', { parameters: [mode], steps: [gate] })), [
    {
      Name: 'Gate',
      Type: 'Condition',
      Arguments: {
        Conditions: [{ Type: 'Equals', LeftValue: { Get: 'Parameters.Mode' }, RightValue: 'go' }],
        IfSteps: [],
        ElseSteps: [{ Name: 'Stop', Type: 'Fail', Arguments: { ErrorMessage: 'no' } }],
      },
    },
  ]);
});

test('cache, property files, display name and description are written beside the arguments', () => {
  const step = processing('A', {
    displayName: 'An A',
    description: 'does A',
    cache: { expireAfter: 'P30D' },
    propertyFiles: [{ name: 'File', outputName: 'out', path: 'file.json' }],
  });
  const { Arguments: _, ...rest } = stepsOf(new Pipeline('p', { steps: [step] }))[0] as StepDefinition;
  assert.deepEqual(rest, {
    Name: 'A',
    Type: 'Processing',
    DisplayName: 'An A',
    Description: 'does A',
    CacheConfig: { Enabled: true, ExpireAfter: 'P30D' },
    PropertyFiles: [{ PropertyFileName: 'File', OutputName: 'out', FilePath: 'file.json' }],
  });
});

test('retry policies are written as AWS’s SDK writes them, with its defaults', () => {
  const step = processing('A', {
    retry: [
      { exceptions: ['Step.THROTTLING'], maxAttempts: 5 },
      { exceptions: ['SageMaker.CAPACITY_ERROR'], expireAfterMinutes: 60, intervalSeconds: 30, backoffRate: 1.5 },
    ],
  });
  assert.deepEqual(stepsOf(new Pipeline('p', { steps: [step] }))[0]?.RetryPolicies, [
    { BackoffRate: 2, IntervalSeconds: 1, MaxAttempts: 5, ExceptionType: ['Step.THROTTLING'] },
    { BackoffRate: 1.5, IntervalSeconds: 30, ExpireAfterMin: 60, ExceptionType: ['SageMaker.CAPACITY_ERROR'] },
  ]);
});

test('the experiment, its absence and the metadata are written', () => {
  const mode = new ParameterString('Mode');
  const experiment = { experimentName: mode, trialName: 'trial' };
  const given = new Pipeline('p', {
    parameters: [mode],
    steps: [processing('A')],
    experiment,
    metadata: { team: 'x' },
  });
  assert.deepEqual(given.definition().PipelineExperimentConfig, {
    ExperimentName: { Get: 'Parameters.Mode' },
    TrialName: 'trial',
  });
  assert.deepEqual(given.definition().Metadata, { team: 'x' });
  const none = new Pipeline('p', { steps: [processing('A')], experiment: false });
  assert.equal(none.definition().PipelineExperimentConfig, null);
});

test('parallelism and a selection of steps are what the requests take', () => {
  const [first, second] = [processing('A'), processing('B')];
  const pipeline = new Pipeline('p', { steps: [first, second], maxParallelSteps: 4 });
  assert.deepEqual(pipeline.parallelism, { MaxParallelExecutionSteps: 4 });
  assert.equal(new Pipeline('p', { steps: [first] }).parallelism, undefined);
  assert.deepEqual(pipeline.selectiveExecution([second], 'arn'), {
    SourcePipelineExecutionArn: 'arn',
    SelectedSteps: [{ StepName: 'B' }],
  });
  assert.throws(
    () => pipeline.selectiveExecution([processing('C')]),
    /step C: it was selected.*\n.*choose among: A, B/,
  );
});

test('a selection needs all steps between two selected ones, and an execution for what the others made', () => {
  const first = processing('A');
  const second = processing('B', { dependsOn: [first] });
  const third = processing('C', { dependsOn: [second] });
  const pipeline = new Pipeline('p', { steps: [first, second, third] });
  assert.throws(() => pipeline.selectiveExecution([first, third], 'arn'), /step B: it lies between two selected steps/);
  assert.throws(() => pipeline.selectiveExecution([third]), /the selected steps C: they need what B made/);
  assert.deepEqual(pipeline.selectiveExecution([first, second]).SelectedSteps, [{ StepName: 'A' }, { StepName: 'B' }]);
  assert.deepEqual(pipeline.selectiveExecution([third], 'arn').SelectedSteps, [{ StepName: 'C' }]);
});
