// The set-up on a machine that lacks something: it ends with what is missing and how to get it, without a stack trace.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { tensorflowFolder } from '../../training/native/install';
import { start } from '../training/command-line';
import { temporaryFolder } from '../training/temporary-folder';

/** Sets TensorFlow up on a machine that has nothing but Node.js. */
async function setUp(cache: string): Promise<string> {
  const environment = { PATH: temporaryFolder(), SCANLINE_CACHE: cache };
  const { status, stderr } = await start('bin/scanline.js', ['setup', '--tensorflow', 'cpu'], environment).ended;
  assert.equal(status, 1);
  assert.doesNotMatch(stderr, /\n {4}at /);
  return stderr;
}

test('without a C++ compiler, how to install one is said', async () => {
  const cache = temporaryFolder();
  const tensorflow = tensorflowFolder('cpu');
  symlinkSync(tensorflow, join(cache, basename(tensorflow)));
  assert.match(await setUp(cache), /g\+\+ was not found[\s\S]*Fix: .*apt-get install g\+\+/);
});

test('without Python, how to install it and pip is said', async () => {
  assert.match(await setUp(temporaryFolder()), /python3 was not found[\s\S]*Fix: .*apt-get install python3-pip/);
});

test('a Node.js that is too old is refused before anything else, with the versions that serve', () => {
  const folder = temporaryFolder();
  const older = join(folder, 'older.js');
  writeFileSync(
    older,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.18.3' } });`,
  );
  const { status, stderr } = spawnSync(
    process.execPath,
    ['-r', older, join(packageRoot, 'bin/bootstrap.js'), 'start'],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  );
  assert.equal(status, 1);
  assert.match(stderr, /Node\.js 20\.18\.3 is too old: Scanline needs 20\.19 or newer[\s\S]*Fix: .*22 or 24/);
});
