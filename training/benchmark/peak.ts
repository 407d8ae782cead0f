// What a machine computes at most: measured by products of large matrices.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../compiler/compiled';
import { scalar } from '../compiler/runtime';
import type { Precision } from '../compiler/session-config';
import { tf } from '../native/tensorflow';
import { product } from '../ops/linear';
import { filled } from '../ops/op';

/** Rows and columns: too large for a cache, so that the blocking of the product counts, as in a network. */
const SIDE = 2048;
/** One after the other, so that bringing the first to a lower precision does not count. */
const PRODUCTS = 8;
const ROUNDS = 3;

/** Floating-point operations per second of matrix products in a precision: the fastest of some rounds. */
export async function measurePeak(options: { threads: number; precision: Precision; gpu: boolean }): Promise<number> {
  const runtime = new CompiledRuntime(options);
  // of constants alone TensorFlow would work out the result while it prepares the graph
  const program = runtime.program({ one: { dtype: 'float32', shape: [] } }, ({ one }) => {
    const matrix = filled([SIDE, SIDE], 1 / SIDE);
    const factor = matrix.mul(one);
    const last = Array.from({ length: PRODUCTS }).reduce<Tensor>((x) => product(x, factor, false), matrix);
    return { sum: tf.sum(last) };
  });
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    await program.run({ one: scalar.float(1) });
    if (round > 0) best = Math.min(best, performance.now() - start);
  }
  runtime.dispose();
  return (PRODUCTS * 2 * SIDE ** 3 * 1000) / best;
}
