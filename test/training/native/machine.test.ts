// What a machine can run is told from its platform and its processor's flags.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { test } from 'node:test';
import { cpuFallback, hasBf16, inspectMachine, type Machine, unsupported } from '../../../training/native/machine';

function machine(flags: readonly string[], platform = 'linux x64'): Machine {
  return { platform, cores: 2, memory: 1e9, processor: 'Some CPU', flags: new Set(flags), gpus: [] };
}

test('Linux on x64 with AVX runs TensorFlow', () => {
  assert.equal(unsupported(machine(['sse2', 'avx'])), undefined);
});

test('another platform, and a processor without AVX, do not, with the reason', () => {
  assert.match(unsupported(machine(['avx'], 'darwin arm64'))?.problem ?? '', /not for darwin arm64/);
  assert.match(unsupported(machine(['sse2']))?.problem ?? '', /needs a processor with AVX; Some CPU has none/);
});

test('bfloat16 is there with the instructions for it', () => {
  assert.equal(hasBf16(machine(['avx', 'avx512_bf16'])), true);
  assert.equal(hasBf16(machine(['avx', 'amx_bf16'])), true);
  assert.equal(hasBf16(machine(['avx', 'avx512f'])), false);
});

test('the build for GPUs says that it runs on none, and why, where that can be seen', () => {
  assert.match(cpuFallback(machine(['avx']), undefined), /finds no NVIDIA device: it computes on the CPU \(2 cores\)/);
  assert.match(cpuFallback(machine(['avx']), '1'), /though SM_NUM_GPUS is 1/);
  const unusable = { ...machine(['avx']), gpus: ['NVIDIA A10G'] };
  assert.match(cpuFallback(unusable, '1'), /cannot use the NVIDIA device NVIDIA A10G[\s\S]*--gpus all/);
});

test('this machine is seen as the system describes it', () => {
  const { cores, memory, flags, processor } = inspectMachine();
  assert.equal(cores, availableParallelism());
  assert.ok(memory > 0 && memory <= totalmem());
  assert.ok(readFileSync('/proc/cpuinfo', 'utf8').includes(processor));
  assert.ok(flags.has('sse2'));
});
