// The command line: what each command says of itself, and what it says to a wrong use of it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { scanline, start } from '../training/command-line';
import { temporaryFolder } from '../training/temporary-folder';

/** The commands, with the options that each must have. */
const COMMANDS: Record<string, readonly string[]> = {
  run: [],
  start: ['name'],
  watch: ['name'],
  stop: ['name'],
  setup: [],
  doctor: [],
  'image build': [],
  'image push': [],
  'image shell': [],
  'image sbom': [],
  split: ['--data', 'a', '--out', 'b'],
  train: ['--out', 'b'],
  predict: ['--model', 'a', '--data', 'b'],
  tensorboard: ['--logs', 'a'],
};

test('--help lists the commands', async () => {
  const { status, stdout } = await scanline('--help');
  assert.equal(status, 0);
  for (const command of Object.keys(COMMANDS).map((words) => words.split(' ')[0]))
    assert.match(stdout, new RegExp(`^ +${command}\\b`, 'm'));
});

for (const [command, required] of Object.entries(COMMANDS)) {
  test(`${command} --help has examples that begin with the command`, async () => {
    const { status, stdout } = await scanline(...command.split(' '), '--help');
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^Examples?:\\n(  scanline ${command}\\b.*\\n)+`, 'm'));
  });

  // `train` tells them among the wrong hyperparameters
  if (command !== 'train')
    test(`${command} refuses an option that it does not have, and says where they are listed`, async () => {
      const { status, stderr } = await scanline(...command.split(' '), ...required, '--no-such-option');
      assert.notEqual(status, 0);
      assert.match(stderr, /unknown option '--no-such-option'/);
      assert.match(stderr, /--help/);
    });
}

test('--version is that of the package', async () => {
  const { stdout } = await scanline('--version');
  assert.equal(stdout.trim(), require(join(packageRoot, 'package.json')).version);
});

const wrong = {
  'a command that is not there': { args: ['runn'], says: /unknown command 'runn'[\s\S]*Did you mean run\?/ },
  'a misspelt option': { args: ['run', '--paramter', 'A=1'], says: /Did you mean --parameter\?/ },
  'a parameter without a value': { args: ['run', '--parameter', 'LeastAccuracy'], says: /write it as Name=value/ },
  'shares that are not three': {
    args: ['split', '--data', 'a', '--out', 'b', '--fractions', '0.5,0.5'],
    says: /three shares[\s\S]*0\.7,0\.15,0\.15/,
  },
  'no thread to decode images': {
    args: ['predict', '--model', 'a', '--data', 'b', '--workers', '0'],
    says: /a whole number of at least 1/,
  },
  'a seed that is no number': {
    args: ['split', '--data', 'a', '--out', 'b', '--seed', 'abc'],
    says: /the seed is 'abc'/,
  },
  'a required option that is missing': { args: ['split', '--data', 'a'], says: /'--out <folder>' not specified/ },
};

for (const [what, { args, says }] of Object.entries(wrong)) {
  test(`${what} ends with a status other than 0 and what is right`, async () => {
    const { status, stderr } = await scanline(...args);
    assert.notEqual(status, 0);
    assert.match(stderr, says);
  });
}

test('run says what to do where the app is not there, without a stack trace', async () => {
  const { status, stderr } = await scanline('run', '--app', 'exit 5', '--state', temporaryFolder());
  assert.equal(status, 1);
  assert.match(stderr, /✗ the CDK app `exit 5` failed[\s\S]*Fix: /);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('run --executor container says what is missing where there is neither docker nor podman', async () => {
  const args = ['run', '--executor', 'container', '--state', temporaryFolder()];
  const { status, stderr } = await start('bin/scanline.js', args, { PATH: temporaryFolder() }).ended;
  assert.equal(status, 1);
  assert.match(stderr, /docker: not installed; podman: not installed[\s\S]*Fix: .*--executor process/);
});

test('image push asks for a region where none is known', async () => {
  const { status, stderr } = await start('bin/scanline.js', ['image', 'push'], {
    AWS_REGION: '',
    AWS_DEFAULT_REGION: '',
  }).ended;
  assert.equal(status, 1);
  assert.match(stderr, /no region is given[\s\S]*--region/);
});
