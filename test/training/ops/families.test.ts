// Scanline's own kernels as processors of lower families run them: their tests once more, in a process for each family.
//
// The tests compare with TensorFlow's ops, with limits that hold for any order of sums in float32, fused or not: so they are those of all
// families. In bfloat16 the results of a kernel are compared with its own in float32, which those of its family are.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../../training/native/tensorflow';

/** The tests of all ops, so that none of a kernel is forgotten. */
const TESTS = readdirSync(__dirname)
  .filter((name) => name.endsWith('.test.js') && name !== basename(__filename))
  .map((name) => join(__dirname, name));

const HIGHEST = native.families.at(-1);

function runAs(family: string, args: readonly string[]) {
  // which would have a test in the process speak to the runner of this one
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  return spawnSync(process.execPath, args, {
    env: { ...environment, SCANLINE_CPU_FAMILY: family },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
}

const digestAs = (family: string) => runAs(family, [join(__dirname, 'thread-digest.js'), '2']);

for (const family of ['baseline', 'avx2', 'avx512', 'avx512_bf16']) {
  const skip =
    (family === HIGHEST && 'it is what all other tests run') ||
    (!native.families.includes(family) && 'this processor is not of it');
  test(`the kernels of ${family} pass their tests`, { skip }, () => {
    // one process for all, for TensorFlow takes seconds to load
    const { status, stdout, stderr } = runAs(family, [
      '--test-reporter=tap',
      '-e',
      TESTS.map((file) => `require(${JSON.stringify(file)})`).join(';'),
    ]);
    assert.match(stdout, /^# pass \d{3}$/m, stderr);
    const failures = stdout.split('\n').filter((line) => /^\s*(not ok|error:)/.test(line));
    assert.equal(status, 0, failures.join('\n'));
  });
}

test('the family that is asked for is the one that runs', {
  skip: native.families.length < 2 && 'there is one',
}, () => {
  // the lowest fuses no multiplications and additions
  assert.notEqual(digestAs('baseline').stdout, digestAs(HIGHEST as string).stdout);
});

test('a family that the processor is not of is refused, with those that are allowed', () => {
  const { status, stderr } = digestAs('avx1024');
  assert.notEqual(status, 0);
  assert.match(stderr, new RegExp(`SCANLINE_CPU_FAMILY is 'avx1024'; allowed .* are ${native.families.join(', ')}\\.`));
});
