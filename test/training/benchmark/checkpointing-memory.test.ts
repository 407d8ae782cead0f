// Gradient checkpointing is for memory: what a training step of a SegResNet takes at most, by the process that runs it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start } from '../command-line';

/** Bytes of the process at its peak. */
async function peakMemory(precision: string, checkpointing: boolean): Promise<number> {
  const options = [
    ...[
      'bench',
      '--model=segresnet',
      '--init_filters=16',
      '--roi_size=96',
      '--batch_size=1',
      `--precision=${precision}`,
    ],
    ...[`--gradient_checkpointing=${checkpointing}`, '--steps=2', '--warmup=2', '--threads=2', '--json'],
  ];
  const { status, stdout, stderr } = await start('bin/scanline.js', options, {}, 300_000).ended;
  assert.equal(status, 0, stderr);
  const { results } = JSON.parse(stdout) as { results: readonly { memory: { peak: number } }[] };
  return results[0]?.memory.peak as number;
}

for (const precision of ['fp32', 'bf16'])
  test(`at 96 x 96 x 96 it takes at least 30% off the peak in ${precision}`, async () => {
    const [plain, again] = [await peakMemory(precision, false), await peakMemory(precision, true)];
    assert.ok(again < 0.7 * plain, `${Math.round(again / 1e6)} of ${Math.round(plain / 1e6)} MB`);
  });
