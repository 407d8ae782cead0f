// The doctor: what it finds on this machine, and what it says where TensorFlow is not set up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheFolder } from '../../../training/native/cache';
import { examine } from '../../../training/native/doctor';
import { inspectMachine } from '../../../training/native/machine';
import { scanline, start } from '../command-line';
import { temporaryFolder } from '../temporary-folder';

test('it names what was found, and ends with status 0 where nothing is missing', async () => {
  const { status, stdout } = await scanline('doctor');
  assert.equal(status, examine().every(({ ok }) => ok) ? 0 : 1);
  assert.match(stdout, new RegExp(`✓ Node\\.js +${process.versions.node} \\(/`));
  assert.match(stdout, new RegExp(`✓ machine +linux x64, .*, ${inspectMachine().cores} cores, \\d+ GB`));
  assert.match(stdout, /✓ GPU +\S/);
  assert.match(stdout, /✓ C\+\+ compiler +g\+\+/);
  assert.ok(stdout.includes(`cache          ${cacheFolder()}`), stdout);
  assert.match(stdout, /✓ TensorFlow (cpu|gpu) +\d+\.\d+\.\d+ in \//);
  assert.match(stdout, /✓ training on +.*; precision fp32/);
});

test('where TensorFlow is not set up it says so, with the command that mends it, and ends with status 1', async () => {
  const { status, stdout } = await start('bin/scanline.js', ['doctor'], { SCANLINE_CACHE: temporaryFolder() }).ended;
  assert.equal(status, 1);
  assert.match(stdout, /✗ TensorFlow (cpu|gpu) not set up\n +Fix: npx scanline setup --tensorflow (cpu|gpu)\n/);
});

test('a command that needs TensorFlow says how to set it up where it is not', async () => {
  const cache = { SCANLINE_CACHE: temporaryFolder() };
  const { status, stderr } = await start('bin/scanline.js', ['predict', '--model=x', '--data=/'], cache).ended;
  assert.equal(status, 1);
  assert.match(stderr, /TensorFlow \((cpu|gpu)\) is not set up on this machine\.\n +Fix: run `npx scanline setup/);
});
