// Synthesising somebody's CDK app: what comes out, and what is said when nothing does.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { synthesize } from '../../../lib/operations/assembly';
import { OperationError } from '../../../lib/operations/errors';
import { temporaryFolder } from '../../training/temporary-folder';

/** A folder with an app that writes its template as the CDK does, without waiting for the CDK. */
function appFolder(resources: object, cdkJson?: string): string {
  const folder = temporaryFolder();
  const template = JSON.stringify({ Resources: resources });
  writeFileSync(
    join(folder, 'app.js'),
    `const fs = require('node:fs');
     fs.mkdirSync(process.env.CDK_OUTDIR, { recursive: true });
     fs.writeFileSync(process.env.CDK_OUTDIR + '/context.json', process.env.CDK_CONTEXT_JSON);
     fs.writeFileSync(process.env.CDK_OUTDIR + '/Stack.template.json', ${JSON.stringify(template)});`,
  );
  if (cdkJson !== undefined) writeFileSync(join(folder, 'cdk.json'), cdkJson);
  return folder;
}

const PIPELINE = { Type: 'AWS::SageMaker::Pipeline', Properties: { PipelineName: 'p' } };
const GROUP = { Type: 'AWS::SageMaker::ModelPackageGroup', Properties: { ModelPackageGroupName: 'g' } };

function failure(folder: string, app?: string): OperationError {
  try {
    synthesize({ folder, output: join(folder, 'out'), ...(app !== undefined && { app }) });
  } catch (error) {
    assert.ok(error instanceof OperationError, String(error));
    return error;
  }
  throw new Error('it did not fail');
}

test("the app of cdk.json is run with its context, and gives its pipelines and their template's groups", () => {
  const folder = appFolder({ A: PIPELINE, B: GROUP }, '{"app": "node app.js", "context": {"@aws-cdk/x": true}}');
  const output = join(folder, 'out');
  const pipelines = synthesize({ folder, output });
  assert.deepEqual(
    pipelines.map(({ resource, groups }) => [resource, groups]),
    [[PIPELINE, [GROUP]]],
  );
  assert.deepEqual(require(join(output, 'context.json')), { '@aws-cdk/x': true });
});

test('an app that is given wins over that of cdk.json', () => {
  const folder = appFolder({ A: PIPELINE }, '{"app": "exit 1"}');
  assert.equal(synthesize({ folder, output: join(folder, 'out'), app: 'node app.js' }).length, 1);
});

test('a template without pipelines gives none', () => {
  const folder = appFolder({ B: GROUP });
  assert.deepEqual(synthesize({ folder, output: join(folder, 'out'), app: 'node app.js' }), []);
});

test('an app that fails is told with what it printed', () => {
  const folder = temporaryFolder();
  const { message } = failure(folder, 'echo printed; echo complained >&2; exit 3');
  assert.match(message, /the CDK app `echo printed.*` failed:\nprinted\ncomplained\n {2}Fix: /);
});

test('an app that writes nothing is told so', () => {
  assert.match(failure(temporaryFolder(), 'true').message, /`true` wrote no templates.*\n {2}Fix: /);
});

test('a folder without an app is told how to give one', () => {
  const folder = temporaryFolder();
  assert.match(failure(folder).message, /has no cdk\.json with an `app`\.\n {2}Fix: .*--app/);
});

test('a cdk.json that is not JSON is named, and not taken for none', () => {
  const folder = appFolder({}, '{"app": ');
  assert.match(failure(folder).message, /cdk\.json is not JSON/);
});
