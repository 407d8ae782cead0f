// Variables in a program: reads and writes happen in the order in which they are written down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import { type Runtime, scalar } from '../../../training/compiler/runtime';
import { tf } from '../../../training/native/tensorflow';

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({}),
  eager: () => new EagerRuntime(),
};

const SIZE = 1000;

for (const [name, makeRuntime] of Object.entries(runtimes)) {
  test(`a read gives what was written before it, and nothing that is written after it (${name})`, async () => {
    const runtime = makeRuntime();
    const variable = runtime.variable('v', [SIZE]);
    const program = runtime.program({ x: { dtype: 'float32', shape: [] } }, ({ x }) => {
      // long ways from what was read to what is fetched, so that a write that does not wait gets in first
      const late = (value: typeof x) => tf.fill([SIZE], 1).mul(value).exp().log().max();
      const before = late(variable.read());
      variable.assign(tf.fill([SIZE], 1).mul(x));
      const assigned = late(variable.read());
      variable.subtract(tf.fill([SIZE], 1));
      return { before, assigned, after: late(variable.read()) };
    });
    await runtime.write(new Map([[variable, new Float32Array(SIZE).fill(1)]]));
    for (let i = 0; i < 200; i++) {
      const { before, assigned, after } = await program.run({ x: scalar.float((i % 7) + 3) });
      const values = [before, assigned, after].map(({ data }) => Math.round((data as Float32Array)[0] as number));
      assert.deepEqual(values, [i === 0 ? 1 : ((i - 1) % 7) + 2, (i % 7) + 3, (i % 7) + 2], `run ${i}`);
    }
    runtime.dispose();
  });

  test(`what is written from outside is read again, bit by bit (${name})`, async () => {
    const runtime = makeRuntime();
    const variables = [runtime.variable('a', [3]), runtime.variable('b', []), runtime.variable('c', [2, 2])];
    const values = [Float32Array.of(1e-45, -0, 3e38), Float32Array.of(Number.NaN), Float32Array.of(1, 2, 3, 4)];
    await runtime.write(new Map(variables.map((variable, i) => [variable, values[i] as Float32Array])));
    assert.deepEqual(await runtime.read(variables), values);
    runtime.dispose();
  });
}

test('a tensor cannot be read while its graph is recorded, and the recording leaves tfjs as it was', () => {
  const runtime = new CompiledRuntime({});
  assert.throws(
    () => runtime.program({ x: { dtype: 'float32', shape: [2] } }, ({ x }) => ({ y: tf.tensor(x.dataSync()) })),
    /a tensor was read while its graph is recorded/,
  );
  assert.deepEqual(Array.from(tf.tensor1d([1, 2]).add(1).dataSync()), [2, 3]);
  runtime.dispose();
});

test('a tensor from outside of the recording is refused', () => {
  const runtime = new CompiledRuntime({});
  const outside = tf.scalar(1).add(1);
  assert.throws(
    () => runtime.program({ x: { dtype: 'float32', shape: [] } }, ({ x }) => ({ y: x.add(outside) })),
    /made before the recording cannot be used in it/,
  );
  runtime.dispose();
});
