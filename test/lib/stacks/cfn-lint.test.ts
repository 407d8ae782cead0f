// AWS's own linter for templates, where `npm run oracle` has installed it, on training stacks and on one with all other stages.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';
import { tuningStack } from '../stages/tuning-stack';
import { importedVpc } from './imported-vpc';

const LINTER = join(packageRoot, '.oracle', 'bin', 'cfn-lint');
const skip = existsSync(LINTER) ? false : 'cfn-lint is not installed: `npm run oracle` does it';

/** Writes the template of a training stack. */
function template(props: TrainingStackProps = {}): string {
  const outdir = temporaryFolder();
  const app = new App({ outdir, context: { '@aws-cdk/aws-iam:minimizePolicies': true } });
  new TrainingStack(app, 'Test', props);
  app.synth();
  return join(outdir, 'Test.template.json');
}

test('a template with tuning, transform and a fallback of instance types has neither errors nor warnings', {
  skip,
}, () => {
  const outdir = temporaryFolder();
  App.of(tuningStack(outdir))?.synth();
  // CDK's own Function names its role twice: as a property and as a dependency
  const { status, output } = lint(join(outdir, 'Test.template.json'), ['--ignore-checks', 'W3005']);
  assert.equal(status, 0, output);
});

for (const [what, props] of Object.entries({
  'for segmentation': { task: 'segmentation' },
  'with an MLflow server, in a VPC': { tracking: { serverName: 'lab' }, vpc: importedVpc() },
} satisfies Record<string, TrainingStackProps>)) {
  test(`the template of the training stack ${what} has neither errors nor warnings`, { skip }, () => {
    const { status, output } = lint(template(props));
    assert.equal(status, 0, output);
  });
}

function lint(file: string, options: readonly string[] = []) {
  const { status, stdout, stderr } = spawnSync(LINTER, ['--non-zero-exit-code', 'warning', ...options, '--', file], {
    encoding: 'utf8',
  });
  return { status, output: `${stdout}${stderr}` };
}

test('the template of the training stack has neither errors nor warnings, and a wrong property is one', {
  skip,
}, () => {
  const file = template();
  const { status, output } = lint(file);
  assert.equal(status, 0, output);

  const planted = JSON.parse(readFileSync(file, 'utf8'));
  const pipeline = Object.values(planted.Resources).find(
    (resource) => (resource as { Type: string }).Type === 'AWS::SageMaker::Pipeline',
  );
  (pipeline as { Properties: Record<string, unknown> }).Properties.PipelineNaem = 'p';
  writeFileSync(file, JSON.stringify(planted));
  const wrong = lint(file);
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.output, /PipelineNaem/);
});
