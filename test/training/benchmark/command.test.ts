// scanline bench as a user runs it: with data and without, both precisions, what it says and what it gives to programs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Result } from '../../../training/benchmark';
import { hasBf16, inspectMachine } from '../../../training/native/machine';
import { scanline, TINY } from '../command-line';
import { writeDataset } from '../sample-images';
import { writeVolumes } from '../sample-volumes';
import { temporaryFolder } from '../temporary-folder';

const FEW = ['--steps=3', '--warmup=1', '--threads=1'];
const SEGMENTER = ['--model=segresnet', '--init_filters=8', '--roi_size=16', '--spacing=1,1,1', '--batch_size=2'];
const precisions = hasBf16(inspectMachine()) ? ['fp32', 'bf16'] : ['fp32'];

async function results(...args: string[]): Promise<Result[]> {
  const { status, stdout, stderr } = await scanline('bench', ...args, '--json');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).results as Result[];
}

test('without data: each precision that the machine has, and what limits it', async () => {
  const { status, stdout, stderr } = await scanline('bench', ...SEGMENTER, ...FEW);
  assert.equal(status, 0, stderr);
  assert.deepEqual(stdout.match(/^(fp32|bf16)$/gm), precisions);
  const times = [
    /without data loading +[\d.]+ ms\/step, [\d.]+ samples\/s/g,
    /with data loading +not measured: give --data/g,
  ];
  const shares = [/[\d.]+ GFLOP\/step, [\d.]+ GFLOP\/s: \d+% of the \d+ GFLOP\/s of a matrix/g, /peak memory +\d+ MB/g];
  const limits = [/most likely limit +(arithmetic|memory bandwidth|framework overhead): .+/g, /what to do +.+/g];
  for (const expected of [...times, ...shares, ...limits])
    assert.equal(stdout.match(expected)?.length, precisions.length, `${expected} in ${stdout}`);
  assert.match(stderr, /fp32: warm-up 1 of 1/);
});

test('with volumes: steps with data loading too', async () => {
  const data = join(temporaryFolder(), 'data');
  await writeVolumes(data, { train: 3, valid: 1 });
  const [result] = await results('--data', data, ...SEGMENTER, ...FEW, '--precision=fp32');
  const { loaded, millisecondsPerStep, samplesPerSecond } = result as Result;
  assert.ok((loaded?.millisecondsPerStep ?? 0) > 0 && (loaded?.samplesPerSecond ?? 0) > 0, JSON.stringify(loaded));
  assert.ok(Math.abs(samplesPerSecond - 2000 / millisecondsPerStep) < 1e-6 * samplesPerSecond);
});

test('with images, one precision alone', async () => {
  const data = join(temporaryFolder(), 'data');
  await writeDataset(data, { train: 4, valid: 2 });
  const found = await results('--data', data, ...TINY, ...FEW, '--batch_size=2', '--precision=fp32');
  assert.deepEqual(
    found.map(({ precision }) => precision),
    ['fp32'],
  );
  assert.ok(found[0]?.loaded);
});

test('gradient checkpointing computes more, in less memory', async () => {
  const large = [
    '--model=segresnet',
    '--init_filters=16',
    '--roi_size=64',
    '--batch_size=1',
    '--precision=fp32',
    ...FEW,
    '--steps=1',
  ];
  const [plain] = (await results(...large)) as [Result];
  const [again] = (await results(...large, '--gradient_checkpointing=true')) as [Result];
  assert.ok(again.cost.operations > 1.1 * plain.cost.operations && again.cost.operations < 1.5 * plain.cost.operations);
  // of what the steps take; what the process takes besides is as much as this at these sizes
  const ofSteps = ({ memory }: Result) => memory.peak - memory.before;
  const share = ofSteps(again) / ofSteps(plain);
  assert.ok(share < 0.75, `${ofSteps(again)} and ${ofSteps(plain)} bytes`);
});

test('data that are not there are refused as in training, with no stack', async () => {
  const { status, stderr } = await scanline('bench', '--data', join(temporaryFolder(), 'none'), ...SEGMENTER, ...FEW);
  assert.equal(status, 1);
  assert.match(stderr, /✗ .*none.*\n {2}Fix: /);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('a setting that is wrong is told before anything is measured', async () => {
  const { status, stderr } = await scanline('bench', '--model', 'segresnet', '--batch_size', 'two');
  assert.equal(status, 1);
  assert.match(stderr, /batch_size/);
});
