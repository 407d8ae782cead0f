// What a compiled program is fed: values of its inputs' types and shapes, and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import type { Values } from '../../../training/compiler/runtime';

const runtime = new CompiledRuntime({});
const program = runtime.program(
  { x: { dtype: 'float32', shape: [-1, 4] }, labels: { dtype: 'int32', shape: [-1] } },
  ({ x, labels }) => ({ x: x.add(1), labels: labels.add(1) }),
);
const x: Values = { shape: [2, 4], data: new Float32Array(8) };
const labels: Values = { shape: [2], data: new Int32Array(2) };

test('values of the right types and shapes are taken, of any batch size', async () => {
  for (const count of [2, 1, 0]) {
    const values = { shape: [count, 4], data: new Float32Array(count * 4) };
    assert.deepEqual((await program.run({ x: values, labels })).x.shape, [count, 4]);
  }
});

test('an array of another type is refused, for its bytes would be read as numbers that they are not', async () => {
  const integers = { shape: [2, 4], data: new Int32Array(8) };
  await assert.rejects(program.run({ x: integers, labels }), /of type Int32Array, not Float32Array/);
  const floats = { shape: [2], data: new Float32Array(2) };
  await assert.rejects(program.run({ x, labels: floats }), /of type Float32Array, not Int32Array/);
});

for (const shape of [[8], [1, 8], [2, 2, 2], [-2, -4]]) {
  test(`the shape [${shape}] is refused where [-1, 4] is asked`, async () => {
    const values = { shape, data: new Float32Array(8) };
    await assert.rejects(program.run({ x: values, labels }), /input x has the shape \[-1, 4\].* given \[/);
  });
}
