// Which precision a training gets, and what is said where it is not the one that was asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePrecision } from '../../../training/engine/precision';
import { hasBf16, inspectMachine } from '../../../training/native/machine';

const CPU = { gpu: false, eager: false };
const GPU = { gpu: true, eager: false };

test('fp32 is always given, without a word', () => {
  for (const where of [CPU, GPU, { gpu: false, eager: true }])
    assert.deepEqual(choosePrecision('fp32', where), { precision: 'fp32' });
});

test('a GPU gives fp16, for bf16 too, and says so', () => {
  assert.deepEqual(choosePrecision('fp16', GPU), { precision: 'fp16' });
  const { precision, note } = choosePrecision('bf16', GPU);
  assert.equal(precision, 'fp16');
  assert.match(note ?? '', /fp16 instead of bf16/);
});

test('a processor gives fp32 for fp16, and says why', () => {
  const { precision, note } = choosePrecision('fp16', CPU);
  assert.equal(precision, 'fp32');
  assert.match(note ?? '', /fp32 instead of fp16, for fp16 needs a GPU/);
});

test('bf16 is given where the processor has it; elsewhere fp32, and why', () => {
  const { precision, note } = choosePrecision('bf16', CPU);
  if (hasBf16(inspectMachine())) assert.deepEqual([precision, note], ['bf16', undefined]);
  else assert.match(note ?? '', /has no bfloat16 instructions/);
});

test('op by op there is fp32 only', () => {
  for (const asked of ['bf16', 'fp16'] as const) {
    const { precision, note } = choosePrecision(asked, { gpu: true, eager: true });
    assert.equal(precision, 'fp32');
    assert.match(note ?? '', /rewriting of the compiled graph/);
  }
});
