// The definitions of tuning and batch transform, as they are synthesised, against botocore's own model of the API.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Template } from 'aws-cdk-lib/assertions';
import { resolveTemplate } from '../../../lib/local';
import type { StepDefinition } from '../../../lib/pipeline';
import { botocore, skip } from '../pipeline/botocore';
import { tuningStack } from './tuning-stack';

function stepsOfStack(): StepDefinition[] {
  const template = Template.fromStack(tuningStack());
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody;
  return JSON.parse(resolveTemplate(body, template.toJSON()) as string).Steps;
}

const steps = skip ? [] : stepsOfStack();

test('botocore takes the arguments of every step of a stack that tunes and transforms', { skip }, () => {
  assert.deepEqual(
    steps.map(({ Type }) => Type),
    ['Tuning', 'Processing', 'RegisterModel', 'Model', 'Model', 'Transform'],
  );
  assert.equal(botocore({ steps }), '');
});

for (const [type, member] of [
  ['Tuning', 'HyperParameterTuningJobConfig'],
  ['Transform', 'TransformInput'],
] as const) {
  test(`botocore finds what a ${type.toLowerCase()} step lacks, and what it should not have`, { skip }, () => {
    const step = structuredClone(steps.find(({ Type }) => Type === type)) as StepDefinition;
    const { [member]: _, ...rest } = step.Arguments as Record<string, unknown>;
    const told = botocore({ steps: [{ ...step, Arguments: { ...rest, Planted: 1 } }] });
    assert.match(told, new RegExp(`Missing required parameter in input: "${member}"`));
    assert.match(told, /Unknown parameter in input: "Planted"/);
  });
}
