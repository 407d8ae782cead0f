// scanline check: a definition or a folder of templates; every finding printed; exit 1 with errors alone.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../training/temporary-folder';

const SCANLINE = join(__dirname, '..', '..', 'bin', 'scanline.js');
const STOP = { Name: 'Stop', Type: 'Fail', Arguments: { ErrorMessage: 'no' } };

/** Writes a file, and checks it or its folder. */
function check(name: string, text: string, { whole = false } = {}) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, name), text);
  const path = whole ? folder : join(folder, name);
  const { stdout, stderr, status } = spawnSync(process.execPath, [SCANLINE, 'check', path], { encoding: 'utf8' });
  return { stdout, stderr, status };
}

test('a definition with errors has all of them printed, and fails', () => {
  const wrong = { Name: 'A b', Type: 'Fail', Arguments: {}, DependsOn: ['Gone'] };
  const { stdout, status } = check('p.json', JSON.stringify({ Steps: [STOP, wrong] }));
  assert.equal(status, 1);
  assert.match(stdout, /✗ step A b: the name is not allowed\.\n {2}Fix: use up to 64/);
  assert.match(stdout, /✗ step A b: it has no ErrorMessage/);
  assert.match(stdout, /✗ step A b: it depends on the step Gone/);
  assert.match(stdout, /p\.json: errors: 3, warnings: 0/);
});

test('a definition with warnings alone does not fail', () => {
  const Steps = Array.from({ length: 51 }, (_, index) => ({ ...STOP, Name: `Stop${index}` }));
  const { stdout, status } = check('p.json', JSON.stringify({ Steps }));
  assert.equal(status, 0);
  assert.match(stdout, /! the pipeline: it has 51 steps/);
  assert.match(stdout, /✓ .*p\.json: errors: 0, warnings: 1/);
});

test('the pipelines of a folder of templates are checked, with what the templates fill in', () => {
  const body = JSON.stringify({ Steps: [{ ...STOP, Arguments: { ErrorMessage: 'ACCOUNT', Extra: 1 } }] });
  const [before, after] = body.split('ACCOUNT');
  const PipelineDefinition = {
    PipelineDefinitionBody: { 'Fn::Join': ['', [before, { Ref: 'AWS::AccountId' }, after]] },
  };
  const Pipeline = { Type: 'AWS::SageMaker::Pipeline', Properties: { PipelineName: 'planes', PipelineDefinition } };
  const { stdout, status } = check('a.template.json', JSON.stringify({ Resources: { Pipeline } }), { whole: true });
  assert.equal(status, 1);
  assert.match(stdout, /step Stop: it has Extra; Fail step has no such member/);
  assert.match(stdout, /planes: errors: 1/);
});

for (const [what, text, message] of [
  ['is not JSON', '{', /is not JSON/],
  ['has no steps', '{}', /no list of Steps/],
] as const) {
  test(`a file that ${what} is refused, with what to give`, () => {
    const { stderr, status } = check('p.json', text);
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.match(stderr, /Fix: give/);
  });
}

test('a folder without a pipeline is refused', () => {
  const { stderr, status } = check('a.template.json', '{}', { whole: true });
  assert.equal(status, 1);
  assert.match(stderr, /no template with a pipeline/);
});
