// Expressions are written as AWS's own SDK for pipelines writes them (sagemaker.workflow of the SageMaker Python SDK).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ExecutionVariables,
  type Expression,
  join,
  jsonGet,
  ParameterInteger,
  ParameterString,
  ProcessingStep,
  TrainingStep,
} from '../../../lib/pipeline';

const written = (expression: Expression) => JSON.parse(JSON.stringify(expression));

// only names and references are looked at here
const processing = (name: string) => new ProcessingStep(name, { arguments: {} as never });
const training = new TrainingStep('Train', { arguments: {} as never });

test('a parameter is a Get of its name', () => {
  assert.deepEqual(written(new ParameterString('InputData')), { Get: 'Parameters.InputData' });
});

test('a fact of the execution is a Get', () => {
  assert.deepEqual(written(ExecutionVariables.pipelineExecutionId), { Get: 'Execution.PipelineExecutionId' });
  assert.deepEqual(written(ExecutionVariables.startDateTime), { Get: 'Execution.StartDateTime' });
});

test('a join is a Std:Join of its values', () => {
  const joined = join('/', 's3://bucket', ExecutionVariables.pipelineName, new ParameterInteger('Epochs'));
  assert.deepEqual(written(joined), {
    'Std:Join': {
      On: '/',
      Values: ['s3://bucket', { Get: 'Execution.PipelineName' }, { Get: 'Parameters.Epochs' }],
    },
  });
});

test('a join inside a join by the same separator becomes one', () => {
  assert.deepEqual(written(join('/', join('/', 'a', 'b'), 'c')), { 'Std:Join': { On: '/', Values: ['a', 'b', 'c'] } });
});

test('a join inside a join by another separator stays', () => {
  assert.deepEqual(written(join('/', join('-', 'a', 'b'), 'c')), {
    'Std:Join': { On: '/', Values: [{ 'Std:Join': { On: '-', Values: ['a', 'b'] } }, 'c'] },
  });
});

test('a property of a job is a Get below its step', () => {
  assert.deepEqual(written(training.properties.ModelArtifacts.S3ModelArtifacts), {
    Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts',
  });
});

test('an output of a processing job is found by its name, in brackets', () => {
  assert.deepEqual(written(processing('Split').output('train')), {
    Get: "Steps.Split.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri",
  });
});

test('a final metric is found by its name, in brackets', () => {
  assert.deepEqual(written(training.properties.FinalMetricDataList['valid:loss']?.Value as Expression<number>), {
    Get: "Steps.Train.FinalMetricDataList['valid:loss'].Value",
  });
});

test('an entry of another list is found by its number', () => {
  assert.deepEqual(written(training.properties.InputDataConfig[1]?.ChannelName as Expression<string>), {
    Get: 'Steps.Train.InputDataConfig[1].ChannelName',
  });
});

test('a value of a property file is a Std:JsonGet', () => {
  const file = { name: 'Evaluation', outputName: 'evaluation', path: 'evaluation.json' };
  assert.deepEqual(written(jsonGet(processing('Evaluate'), file, 'metrics.accuracy.value')), {
    'Std:JsonGet': {
      PropertyFile: { Get: 'Steps.Evaluate.PropertyFiles.Evaluation' },
      Path: 'metrics.accuracy.value',
    },
  });
});
