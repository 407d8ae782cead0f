// Optimizers against PyTorch's, step by step on given gradients with a moving learning rate (test/oracle/training/torch_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../../training/compiler/compiled';
import { EagerRuntime } from '../../../../training/compiler/eager';
import { type Runtime, scalar } from '../../../../training/compiler/runtime';
import { makeOptimizer, type OptimizerOptions } from '../../../../training/engine/optimization/optimizers';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

interface Fixture {
  readonly start: number[];
  readonly gradients: number[][];
  readonly rates: number[];
  readonly after: Record<string, number[][]>;
}
const { start, gradients, rates, after } = readFixture<{ optimizers: Fixture }>('torch.json').optimizers;

const optimizers: Record<string, OptimizerOptions> = {
  adam: { name: 'adam' },
  'adam, weight decay': { name: 'adam', weightDecay: 0.1 },
  'adamw, weight decay': { name: 'adamw', weightDecay: 0.1 },
  sgd: { name: 'sgd', momentum: 0 },
  'sgd, momentum': { name: 'sgd' },
  'sgd, momentum, weight decay': { name: 'sgd', momentum: 0.8, weightDecay: 0.1 },
};

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({}),
  eager: () => new EagerRuntime(),
};

test('every optimizer of the fixture is compared', () => {
  assert.deepEqual(Object.keys(optimizers), Object.keys(after));
});

for (const [name, options] of Object.entries(optimizers)) {
  for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
    test(`${name}: every step is PyTorch's (${runtimeName})`, async () => {
      const runtime = makeRuntime();
      const variable = runtime.variable('weights', [5]);
      const optimizer = makeOptimizer(runtime, [variable], options);
      const number = { dtype: 'float32', shape: [] } as const;
      const program = runtime.program(
        { gradient: { dtype: 'float32', shape: [5] }, rate: number, epsilon: number, decay: number },
        ({ gradient, ...coefficients }) => {
          optimizer.apply(new Map([[variable, gradient]]), coefficients);
          return {};
        },
      );
      await optimizer.initialise();
      await runtime.write(new Map([[variable, Float32Array.from(start)]]));
      for (const [i, gradient] of gradients.entries()) {
        const { rate, epsilon, decay } = optimizer.coefficients(rates[i] as number, i + 1);
        await program.run({
          gradient: { shape: [5], data: Float32Array.from(gradient) },
          ...{ rate: scalar.float(rate), epsilon: scalar.float(epsilon), decay: scalar.float(decay) },
        });
        const [values] = await runtime.read([variable]);
        assertClose(values as Float32Array, (after[name] as number[][])[i] as number[], 1e-6, `${name}, step ${i + 1}`);
      }
      runtime.dispose();
    });
  }
}
