// Each example app, synthesised as the `cdk` command does it, beside a snapshot of its resources and steps; and the CI workflow.
// After a change that is meant: SNAPSHOTS=write npm test -- dist/test/examples/examples.test.js
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSync } from 'esbuild';
import { resolveTemplate } from '../../lib/local';
import { pipelinesIn, synthesize } from '../../lib/operations/assembly';
import { check, type Definition, type StepDefinition } from '../../lib/pipeline';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

/** A step by what it is called, with its branches. */
function outline({ Name, Type, DependsOn, Arguments }: StepDefinition): object {
  const { IfSteps, ElseSteps } = (Arguments ?? {}) as Record<string, StepDefinition[] | undefined>;
  return {
    [`${Type} ${Name}`]: {
      ...(DependsOn && { DependsOn }),
      ...(IfSteps && { If: IfSteps.map(outline), Else: ElseSteps?.map(outline) }),
    },
  };
}

/** The resources of an app, by their types, and the steps of its pipeline, in which nothing is wrong. */
function synthesized(example: string): object {
  const output = temporaryFolder();
  const environment = 'CDK_DEFAULT_REGION=eu-central-1 CDK_DEFAULT_ACCOUNT=111122223333';
  synthesize({ folder: packageRoot, app: `${environment} node dist/examples/${example}/app.js`, output });
  const [pipeline, ...others] = pipelinesIn(output);
  assert.ok(pipeline);
  assert.deepEqual(others, []);
  const { PipelineDefinition } = resolveTemplate(pipeline.resource.Properties, pipeline.template) as {
    PipelineDefinition: { PipelineDefinitionBody: string };
  };
  const definition = JSON.parse(PipelineDefinition.PipelineDefinitionBody) as Definition;
  assert.deepEqual(check(definition), []);
  const types = Object.values(pipeline.template.Resources ?? {}).map(({ Type }) => Type);
  return { resources: types.sort(), steps: (definition.Steps as StepDefinition[]).map(outline) };
}

for (const example of ['minimal', 'beside-own-resources', 'script-mode-pytorch']) {
  test(`${example}: the app is what its snapshot says`, () => {
    const file = join(packageRoot, 'test', 'fixtures', 'examples', `${example}.json`);
    const found = synthesized(example);
    if (process.env.SNAPSHOTS === 'write') {
      writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
    }
    assert.deepEqual(found, JSON.parse(readFileSync(file, 'utf8')));
  });
}

test('the README shows the minimal app, which has 20 lines at most', () => {
  const [, ...app] = readFileSync(join(packageRoot, 'examples/minimal/app.ts'), 'utf8').trimEnd().split('\n');
  assert.ok(app.length <= 20, `${app.length} lines`);
  assert.ok(readFileSync(join(packageRoot, 'README.md'), 'utf8').includes(`\n${app.join('\n')}\n`));
});

/** The parser imports its schema as JSON, which Node.js does not do unasked: bundled, it is part of it. */
function workflowParser(): typeof import('@actions/workflow-parser') {
  const outfile = join(temporaryFolder(), 'parser.js');
  buildSync({
    stdin: { contents: "export * from '@actions/workflow-parser'", resolveDir: packageRoot },
    bundle: true,
    platform: 'node',
    outfile,
  });
  return require(outfile);
}

test("GitHub's own parser takes the workflow, and finds what it does not know", async () => {
  const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = workflowParser();
  const problems = async (content: string) => {
    const { context, value } = parseWorkflow({ name: 'deploy.yml', content }, new NoOperationTraceWriter());
    if (value) await convertWorkflowTemplate(context, value);
    return context.errors.getErrors().map(({ message }) => message);
  };
  const content = readFileSync(join(packageRoot, 'examples/github-actions/deploy.yml'), 'utf8');
  assert.deepEqual(await problems(content), []);
  assert.match((await problems(content.replace('runs-on', 'runs-in'))).join(), /runs-in/);
});
