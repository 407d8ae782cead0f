// The operations that are counted in a trace of TensorFlow's, against what the shapes say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { RunMetadata, type StepCost, stepCost } from '../../../training/benchmark/step-cost';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import type { Values } from '../../../training/compiler/runtime';
import { tf } from '../../../training/native/tensorflow';
import { convolve, transposedConvolve } from '../../../training/ops/convolution';
import { linear, selfAttention } from '../../../training/ops/linear';

const values = (shape: readonly number[]): Values => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
});

/** The cost of an op of two tensors, and of its gradients. */
async function costOf(
  body: (a: Tensor, b: Tensor) => Tensor,
  a: readonly number[],
  b: readonly number[],
  change = (metadata: Uint8Array) => metadata,
): Promise<StepCost> {
  const runtime = new CompiledRuntime({ threads: 2 });
  const inputs = {
    a: { dtype: 'float32', shape: a },
    b: { dtype: 'float32', shape: b },
  } as const;
  const program = runtime.program(inputs, ({ a, b }) => {
    const { value, grads } = tf.valueAndGrads((x: Tensor, y: Tensor) => body(x, y).square().sum())([a, b]);
    return { value, da: grads[0] as Tensor, db: grads[1] as Tensor };
  });
  let cost: StepCost | undefined;
  runtime.traceNextRun((metadata) => {
    cost = stepCost(change(metadata));
  });
  await program.run({ a: values(a), b: values(b) });
  runtime.dispose();
  return cost as StepCost;
}

// forward, and as much again for the gradient of either side
test('a 3D convolution with a stride: its three products', async () => {
  const { operations } = await costOf(
    (x, w) => convolve(x, w, { stride: 2, padding: 1 }),
    [2, 8, 10, 6, 5],
    [3, 3, 3, 5, 7],
  );
  assert.equal(operations, 3 * 2 * (2 * 4 * 5 * 3 * 7) * (27 * 5));
});

test('a 3D convolution with a stride by our own kernels', async () => {
  const { operations } = await costOf(
    (x, w) => convolve(x, w, { stride: 2, padding: 1 }),
    [2, 8, 10, 6, 16],
    [3, 3, 3, 16, 32],
  );
  assert.equal(operations, 3 * 2 * (2 * 4 * 5 * 3 * 32) * (27 * 16));
});

test('a transposed 3D convolution by our own kernels: each value of x goes to a whole filter', async () => {
  const { operations } = await costOf(
    (x, w) => transposedConvolve(x, w, { stride: 2 }),
    [2, 4, 5, 3, 32],
    [3, 3, 3, 16, 32],
  );
  assert.equal(operations, 3 * 2 * (2 * 4 * 5 * 3 * 32) * (27 * 16));
});

test('a 2D convolution by our own kernels', async () => {
  const { operations } = await costOf((x, w) => convolve(x, w, { padding: 1 }), [2, 8, 10, 16], [3, 3, 16, 32]);
  assert.equal(operations, 3 * 2 * (2 * 8 * 10 * 32) * (9 * 16));
});

test('a fully connected layer', async () => {
  const { operations } = await costOf((x, w) => linear(x, w), [6, 10], [4, 10]);
  assert.equal(operations, 3 * 2 * 6 * 4 * 10);
});

/** A trace without the last op of a kind. */
function withoutLast(kind: string, metadata: Uint8Array): Uint8Array {
  const trace = RunMetadata.decode(metadata) as unknown as {
    step_stats: { dev_stats: { node_stats: { node_name: string; all_start_micros: unknown }[] }[] };
  };
  for (const { node_stats: nodes } of trace.step_stats.dev_stats) {
    const ofKind = nodes.filter((node) => node.node_name.startsWith(kind));
    const startOf = (node: (typeof nodes)[number]) => Number(node.all_start_micros);
    const last = ofKind.reduce((later, node) => (startOf(node) > startOf(later) ? node : later));
    nodes.splice(nodes.indexOf(last), 1);
  }
  return RunMetadata.encode(trace).finish();
}

// forward, and as much again for the gradient of either side
// in bfloat16 TensorFlow leaves some reshapes out of its trace
for (const { what, change } of [
  { what: 'a whole trace', change: (metadata: Uint8Array) => metadata },
  { what: 'a trace without the last reshape', change: (metadata: Uint8Array) => withoutLast('Reshape', metadata) },
]) {
  test(`attention after a layer, by ${what}: two products for each head of each sample`, async () => {
    const [count, length, heads, size] = [2, 9, 3, 4];
    const width = heads * size;
    const body = (x: Tensor, w: Tensor) => selfAttention(linear(x, w), heads);
    const { operations } = await costOf(body, [count, length, width], [3 * width, width], change);
    const products = 2 * count * heads * length * length * size * 2;
    const projection = 2 * count * length * width * 3 * width;
    assert.equal(operations, 3 * (products + projection));
  });
}

test('the shares of the largest kinds of ops are told in order, and make up no more than all', async () => {
  const { largest, arithmetic, moving, idle } = await costOf((x, w) => linear(x, w), [512, 256], [512, 256]);
  const shares = largest.map(({ share }) => share);
  assert.deepEqual(
    shares,
    [...shares].sort((a, b) => b - a),
  );
  assert.ok(shares.reduce((sum, share) => sum + share, 0) <= 1 + 1e-9);
  assert.ok(arithmetic > 0 && moving > 0 && idle >= 0);
});
