// The request that starts an execution: what is wrong with it is told before it is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FailStep,
  ParameterBoolean,
  ParameterFloat,
  ParameterInteger,
  ParameterString,
  Pipeline,
  PipelineError,
  type StartOptions,
} from '../../../lib/pipeline';

const stop = new FailStep('Stop', { errorMessage: 'stopped' });
const pipeline = new Pipeline('planes', {
  parameters: [
    new ParameterString('Site'),
    new ParameterString('Mode', { defaultValue: 'go', enumValues: ['go', 'stop'] }),
    new ParameterInteger('Epochs', { defaultValue: 3 }),
    new ParameterFloat('Least', { defaultValue: 0.9 }),
    new ParameterBoolean('Dry', { defaultValue: false }),
  ],
  steps: [stop],
});

function findingsOf(options: StartOptions, of = pipeline): string[] {
  try {
    of.startRequest(options);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    return error.findings.map(({ where, problem }) => `${where}: ${problem}`);
  }
  return [];
}

test('values are sent as text, and what was not chosen is left to SageMaker', () => {
  assert.deepEqual(pipeline.startRequest({ parameters: { Site: 'ward', Epochs: 5, Least: 0.5, Dry: true } }), {
    PipelineName: 'planes',
    PipelineParameters: [
      { Name: 'Site', Value: 'ward' },
      { Name: 'Epochs', Value: '5' },
      { Name: 'Least', Value: '0.5' },
      { Name: 'Dry', Value: 'true' },
    ],
  });
});

test('all that is wrong with the values is told at once', () => {
  assert.deepEqual(findingsOf({ parameters: { Mode: 'halt', Epochs: 1.5, Least: 'high', Dry: 'no', Sight: 'ward' } }), [
    'parameter Site: it has no default, and no value was given.',
    'parameter Mode: its value is halt.',
    'parameter Epochs: its value is number 1.5.',
    'parameter Least: its value is string high.',
    'parameter Dry: its value is string no.',
    'parameter Sight: a value was given, and the pipeline does not have it.',
  ]);
});

test('a version is a whole number from 1, and may have parameters of its own', () => {
  assert.deepEqual(findingsOf({ version: 0 }), ['the version: it is 0.']);
  assert.equal(pipeline.startRequest({ version: 2, parameters: { Old: 'x' } }).PipelineVersionId, 2);
});

test('what SageMaker would refuse of the execution itself is told too', () => {
  assert.deepEqual(
    findingsOf({ parameters: { Site: 'w'.repeat(1025) }, displayName: 'first_try', maxParallelSteps: 0 }),
    [
      'parameter Site: its value has 1025 characters.',
      "the display name: it is 'first_try'.",
      'maxParallelSteps: it is 0.',
    ],
  );
});

test('up to 50 steps may be selected', () => {
  const steps = Array.from({ length: 51 }, (_, index) => new FailStep(`Stop${index}`, { errorMessage: 'stopped' }));
  const many = new Pipeline('many', { steps });
  const allowed = many.startRequest({ steps: steps.slice(0, 50) });
  assert.equal(allowed.SelectiveExecutionConfig?.SelectedSteps?.length, 50);
  assert.deepEqual(findingsOf({ steps }, many), ['the steps: 51 are selected, and 50 may be.']);
});

test('a pipeline whose name SageMaker does not allow is refused', () => {
  assert.throws(() => new Pipeline('my_planes', { steps: [stop] }).definition(), /pipeline my_planes: the name is not/);
});
