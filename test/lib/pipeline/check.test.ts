// The checker finds all that is wrong with a pipeline at once; each finding names where it is and the fix.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ConditionStep,
  check,
  type Definition,
  equals,
  errorsOf,
  jsonGet,
  ParameterString,
  Pipeline,
  PipelineError,
  ProcessingStep,
  type Step,
  warningsOf,
} from '../../../lib/pipeline';
import { ALL, MODE, PROCESSING } from './whole-steps';

interface StepParts {
  readonly uses?: unknown;
  readonly outputs?: readonly string[];
  readonly dependsOn?: readonly Step[];
}

function processing(name: string, { uses = '', outputs = ['out'], dependsOn }: StepParts = {}): ProcessingStep {
  const output = { S3Uri: 's3://bucket/out', LocalPath: '/o', S3UploadMode: 'EndOfJob' } as const;
  const Outputs = outputs.map((OutputName) => ({ OutputName, S3Output: output }));
  return new ProcessingStep(name, {
    arguments: { ...PROCESSING, Environment: { uses: uses as string }, ProcessingOutputConfig: { Outputs } },
    propertyFiles: [{ name: 'Report', outputName: 'out', path: 'report.json' }],
    ...(dependsOn && { dependsOn }),
  });
}

const evaluation = processing('Evaluate');
const other = { name: 'Other', outputName: 'out', path: 'other.json' };

/** Steps with one thing wrong, and what the finding must say. */
const wrong: Record<string, { steps: readonly Step[]; where: string; problem: RegExp; fix: RegExp }> = {
  'a reference to a step that is not there': {
    steps: [processing('A', { uses: processing('Gone').output('out') })],
    where: 'step A',
    problem: /refers to the step Gone/,
    fix: /add that step/,
  },
  'a dependency on a step that is not there': {
    steps: [processing('A', { dependsOn: [processing('Gone')] })],
    where: 'step A',
    problem: /depends on the step Gone/,
    fix: /add that step, or remove/,
  },
  'a reference to an output that is not there': {
    steps: [evaluation, processing('A', { uses: evaluation.output('nothing') })],
    where: 'step A',
    problem: /the output nothing, which step Evaluate does not produce/,
    fix: /its outputs are: out/,
  },
  'a reference to a property file that is not there': {
    steps: [evaluation, processing('A', { uses: jsonGet(evaluation, other, 'x') })],
    where: 'step A',
    problem: /the property file Other, which step Evaluate does not have/,
    fix: /its property files are: Report/,
  },
  'a property file in an output that is not there': {
    steps: [processing('A', { outputs: ['elsewhere'] })],
    where: 'step A',
    problem: /property file Report is in the output out, which it does not produce/,
    fix: /its outputs are: elsewhere/,
  },
  'a parameter that is not there': {
    steps: [processing('A', { uses: new ParameterString('Gone') })],
    where: 'step A',
    problem: /the parameter Gone/,
    fix: /there are: Known/,
  },
  'two steps of one name': {
    steps: [processing('A'), processing('A')],
    where: 'step A',
    problem: /more than once/,
    fix: /a name of its own/,
  },
  'a name that SageMaker does not allow': {
    steps: [processing('my step')],
    where: 'step my step',
    problem: /not allowed/,
    fix: /64 letters, digits/,
  },
  'a name of more than 64 characters': {
    steps: [processing('x'.repeat(65))],
    where: `step ${'x'.repeat(65)}`,
    problem: /not allowed/,
    fix: /64 letters, digits/,
  },
};

const known = new ParameterString('Known', { defaultValue: 'a' });

for (const [what, { steps, where, problem, fix }] of Object.entries(wrong)) {
  test(`${what} is the one finding`, () => {
    const findings = new Pipeline('p', { parameters: [known], steps }).findings();
    assert.equal(findings.length, 1, JSON.stringify(findings));
    assert.equal(findings[0]?.where, where);
    assert.match(findings[0]?.problem as string, problem);
    assert.match(findings[0]?.fix as string, fix);
  });
}

const cyclesIn = (definition: Definition) =>
  check(definition)
    .filter(({ problem }) => problem.includes('waits for itself'))
    .map(({ where, problem }) => [where, problem]);

test('a cycle is told with its whole way round', () => {
  const Steps = [
    { Name: 'A', Type: 'Processing', DependsOn: ['C'] },
    { Name: 'B', Type: 'Processing', DependsOn: ['A'] },
    { Name: 'C', Type: 'Processing', Arguments: { RoleArn: { Get: 'Steps.B.ProcessingJobArn' } } },
  ];
  assert.deepEqual(cyclesIn({ Steps }), [['step A', 'it waits for itself: A -> C -> B -> A.']]);
});

test('a condition that waits for a step of its own branch is a cycle', () => {
  const inside = { Name: 'Inside', Type: 'Processing' };
  const gate = { Name: 'Gate', Type: 'Condition', DependsOn: ['Inside'], Arguments: { IfSteps: [inside] } };
  assert.deepEqual(cyclesIn({ Steps: [gate] }), [['step Gate', 'it waits for itself: Gate -> Inside -> Gate.']]);
});

test('steps in branches are looked at too', () => {
  const branch = processing('Branch', { uses: processing('Gone').output('out') });
  const gate = new ConditionStep('Gate', { conditions: [equals(known, 'a')], ifSteps: [branch] });
  const findings = new Pipeline('p', { parameters: [known], steps: [gate] }).findings();
  assert.deepEqual(
    findings.map(({ where }) => where),
    ['step Branch'],
  );
});

test('two parameters of one name, and a default that is not allowed, are found', () => {
  const mode = () => new ParameterString('Mode', { defaultValue: 'slow', enumValues: ['fast', 'good'] });
  const findings = new Pipeline('p', { parameters: [mode(), mode()], steps: [evaluation] }).findings();
  const texts = findings.map(({ where, problem }) => `${where}: ${problem}`);
  assert.ok(texts.includes('parameter Mode: the name stands more than once.'), texts.join('\n'));
  assert.ok(texts.includes('parameter Mode: its default is slow, which it does not allow.'), texts.join('\n'));
});

test('a pipeline of all types of steps in which nothing is wrong has no finding', () => {
  assert.deepEqual(new Pipeline('p', { parameters: [MODE], steps: ALL }).findings(), []);
});

test('all findings are in the one error that is thrown', () => {
  const steps = Object.values(wrong).flatMap((entry) => entry.steps.filter((step) => step !== evaluation));
  const pipeline = new Pipeline('broken', { parameters: [known], steps: [evaluation, ...steps] });
  assert.throws(
    () => pipeline.definition(),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      // A is there several times now, which is one finding; each other thing that is wrong is one too
      for (const { problem, fix } of Object.values(wrong)) {
        assert.match(error.message, problem);
        assert.match(error.message, fix);
      }
      assert.match(error.message, new RegExp(`pipeline broken is refused, for ${error.findings.length} reasons`));
      return true;
    },
  );
});

test('a warning refuses nothing', () => {
  const steps = Array.from({ length: 51 }, (_, index) => processing(`A${index}`));
  const pipeline = new Pipeline('long', { steps });
  assert.deepEqual(errorsOf(pipeline.findings()), []);
  assert.match(warningsOf(pipeline.findings())[0]?.problem as string, /51 steps, and by default SageMaker takes 50/);
  assert.equal(pipeline.definition().Steps.length, 51);
});
