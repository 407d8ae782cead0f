// `scanline run --executor container`: the whole pipeline in the real image, from the split to the answers of an endpoint.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { eventually } from '../lib/local/control-plane';
import { temporaryFolder } from '../training/temporary-folder';
import { containersOf, withoutContainers } from './tools';

/** Runs the sample pipeline; the image is built on the way where it is not that of this checkout. */
function runPipeline(state: string) {
  const args = ['run', '--executor', 'container', '--state', state, '--out', join(state, 'report.html')];
  // byoc.sh takes these by the names on the left
  const { BASE_IMAGE = '', BUILD_SECRETS = '' } = process.env;
  const child = spawn(process.execPath, [join(packageRoot, 'dist', 'bin', 'scanline.js'), ...args], {
    cwd: packageRoot,
    env: { SCANLINE_BASE_IMAGE: BASE_IMAGE, SCANLINE_BUILD_SECRETS: BUILD_SECRETS, ...process.env },
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      printed += text;
    });
  return { child, exited: once(child, 'exit'), printed: () => printed };
}

const settings = { skip: withoutContainers, timeout: 1_800_000 };

test('the sample pipeline trains, passes its gate, is deployed and answers, all in containers', settings, async () => {
  const state = temporaryFolder();
  const { exited, printed } = runPipeline(state);
  const [status] = await exited;
  assert.equal(status, 0, printed());
  assert.match(
    printed(),
    /✓ Build the images[\s\S]*✓ Train[\s\S]*✓ Gate: True[\s\S]*✓ Ask the endpoint[\s\S]*accuracy=0\.\d+/,
  );
  assert.match(readFileSync(join(state, 'report.html'), 'utf8'), /<html/);
  assert.deepEqual(containersOf(state), []);
});

test('a kill -9 in the middle of a training leaves no container', settings, async () => {
  const state = temporaryFolder();
  const { child, exited, printed } = runPipeline(state);
  await eventually(() => printed().includes('Train: '), 900);
  assert.equal(containersOf(state).length, 1);
  child.kill('SIGKILL');
  await exited;
  await eventually(() => containersOf(state).length === 0, 30);
  assert.ok(existsSync(join(state, 'training-jobs')));
});
