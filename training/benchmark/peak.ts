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

export interface PeakOptions {
  readonly threads: number;
  readonly precision: Precision;
  readonly gpu: boolean;
}

/** Matrix products in a precision. */
export interface MatrixProducts {
  /** @returns the floating-point operations per second of some of them; the first run prepares the others */
  run(): Promise<number>;
  dispose(): void;
}

export function matrixProducts(options: PeakOptions): MatrixProducts {
  const runtime = new CompiledRuntime(options);
  // of constants alone TensorFlow would work out the result while it prepares the graph
  const program = runtime.program({ one: { dtype: 'float32', shape: [] } }, ({ one }) => {
    const matrix = filled([SIDE, SIDE], 1 / SIDE);
    const factor = matrix.mul(one);
    const last = Array.from({ length: PRODUCTS }).reduce<Tensor>((x) => product(x, factor, false), matrix);
    return { sum: tf.sum(last) };
  });
  const run = async () => {
    const start = performance.now();
    await program.run({ one: scalar.float(1) });
    return (PRODUCTS * 2 * SIDE ** 3 * 1000) / (performance.now() - start);
  };
  return { run, dispose: () => runtime.dispose() };
}

/** Floating-point operations per second of matrix products in a precision: the fastest of some rounds. */
export async function measurePeak(options: PeakOptions): Promise<number> {
  const products = matrixProducts(options);
  await products.run();
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) best = Math.max(best, await products.run());
  products.dispose();
  return best;
}
