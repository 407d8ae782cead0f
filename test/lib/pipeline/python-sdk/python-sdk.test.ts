// The same pipelines in our language and in AWS's SageMaker Python SDK 2 say the same, but for what stands in DIFFERENCES.
// test/fixtures/sdk has what test/oracle/lib/sagemaker_sdk wrote; where `test/oracle/sdk-setup.sh` has been run, it is written anew.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ParameterString, Pipeline, TrainingStep } from '../../../../lib/pipeline';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';
import { checks, decisions, elsewhere } from './control';
import { processing, TRAINING, training, tuning } from './jobs';
import { meaning } from './meaning';
import { endpoints, models } from './models';

const FIXTURES = join(packageRoot, 'test', 'fixtures', 'sdk');
const fixture = (name: string) => JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8'));

const PIPELINES = { processing, training, tuning, models, endpoints, decisions, checks, elsewhere };

for (const [name, make] of Object.entries(PIPELINES)) {
  test(`${name}: our definition means what the Python SDK's does`, () => {
    const ours = JSON.parse(JSON.stringify(make().definition()));
    assert.deepEqual(meaning(ours), meaning(fixture(name)));
  });
}

test('the requests that make and start it are what the Python SDK sends, version and selected steps among it', () => {
  const again = new TrainingStep('Again', { arguments: TRAINING });
  const pipeline = new Pipeline('p', {
    parameters: [new ParameterString('Mode')],
    steps: [new TrainingStep('Train', { arguments: TRAINING }), again],
    maxParallelSteps: 4,
  });
  const { CreatePipeline, StartPipelineExecution } = fixture('requests');
  assert.deepEqual(pipeline.parallelism, CreatePipeline.ParallelismConfiguration);
  const request = pipeline.startRequest({
    parameters: { Mode: 'go' },
    version: 3,
    displayName: 'first',
    maxParallelSteps: 2,
    steps: [again],
    sourceExecutionArn: 'arn:aws:sagemaker:eu-central-1:111122223333:pipeline/p/execution/e',
  });
  assert.deepEqual(request, StartPipelineExecution);
});

const PYTHON = join(packageRoot, '.oracle-sagemaker', 'bin', 'python');
const skip = existsSync(PYTHON) ? false : 'there is no .oracle-sagemaker: `test/oracle/sdk-setup.sh` makes it';

test('the Python SDK still writes what the fixtures say', { skip }, () => {
  const folder = temporaryFolder();
  const { status, stderr } = spawnSync(PYTHON, ['test/oracle/lib/sagemaker_sdk', folder], {
    encoding: 'utf8',
    cwd: packageRoot,
  });
  assert.equal(status, 0, stderr);
  for (const name of [...Object.keys(PIPELINES), 'script-mode', 'requests']) {
    assert.deepEqual(JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')), fixture(name), name);
  }
});
