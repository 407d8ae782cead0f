// Optimizers on TensorFlow's fused update ops, with PyTorch's formulas.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Runtime, Variable } from '../../compiler/runtime';
import { tf } from '../../native/tensorflow';
import { Constants, effect, float32 } from '../../ops/op';

export type OptimizerName = 'adam' | 'adamw' | 'sgd';

export interface OptimizerOptions {
  readonly name: OptimizerName;
  /** adam: added to the gradient as its L2 penalty; adamw: taken off the weights directly; sgd: as adam. @default 0 */
  readonly weightDecay?: number;
  /** sgd only. @default 0.9 */
  readonly momentum?: number;
  /** What a variable's learning rate is multiplied by. @default 1 for all */
  readonly rateFactor?: (variable: Variable) => number;
}

/** A number that is the same for all variables, times the variable's own factor. */
function scaled(number: Tensor, factor: number): Tensor {
  return factor === 1 ? number : number.mul(factor);
}

/** Moves variables by their gradients; keeps state of its own in further variables. */
export interface Optimizer {
  /** The state, in a fixed order. */
  readonly state: readonly Variable[];
  /** Zeroes the state. */
  initialise(): Promise<void>;
  /** The same: for the body of a program. */
  reset(): void;
  /** The numbers that `apply` takes at a step, from the learning rate and the step's number, 1 for the first. */
  coefficients(learningRate: number, step: number): { rate: number; epsilon: number; decay: number };
  /** Moves the variables: for the body of a program. */
  apply(gradients: ReadonlyMap<Variable, Tensor>, coefficients: Record<'rate' | 'epsilon' | 'decay', Tensor>): void;
}

function slots(runtime: Runtime, variables: readonly Variable[], name: string): Map<Variable, Variable> {
  return new Map(variables.map((variable) => [variable, runtime.variable(`${variable.name}/${name}`, variable.shape)]));
}

/** How the state of an optimizer begins: with zeros. */
function zeroes(runtime: Runtime, state: readonly Variable[]): Pick<Optimizer, 'state' | 'initialise' | 'reset'> {
  const reset = () => {
    const constants = new Constants();
    for (const variable of state) variable.assign(constants.filled(variable.shape, 0));
  };
  const initialise = async () => {
    const program = runtime.program({}, () => {
      reset();
      return {};
    });
    await program.run({});
  };
  return { state, initialise, reset };
}

/**
 * PyTorch's defaults, https://pytorch.org/docs/stable/generated/torch.optim.Adam.html; the betas as float32 holds them, for 1 - beta2
 * of float32 is off by a hundred thousandth, which the bias correction takes back only if it is of the same beta2.
 */
const ADAM = { beta1: Math.fround(0.9), beta2: Math.fround(0.999), epsilon: 1e-8 };

/** Adam (Kingma & Ba, https://arxiv.org/abs/1412.6980) and AdamW (Loshchilov & Hutter, https://arxiv.org/abs/1711.05101). */
function adam(
  runtime: Runtime,
  variables: readonly Variable[],
  decoupled: boolean,
  { weightDecay = 0, rateFactor = () => 1 }: OptimizerOptions,
): Optimizer {
  const first = slots(runtime, variables, 'exp_avg');
  const second = slots(runtime, variables, 'exp_avg_sq');
  return {
    ...zeroes(runtime, [...first.values(), ...second.values()]),
    // TensorFlow adds epsilon before the bias correction of the second moment, PyTorch after it: both corrections are put into the
    // rate and epsilon here, in double precision, and TensorFlow's own are switched off by passing it powers of 0.
    coefficients: (learningRate, step) => {
      const correction = Math.sqrt(1 - ADAM.beta2 ** step);
      return {
        rate: (learningRate * correction) / (1 - ADAM.beta1 ** step),
        epsilon: ADAM.epsilon * correction,
        decay: decoupled ? learningRate * weightDecay : weightDecay,
      };
    },
    apply: (gradients, { rate, epsilon, decay }) => {
      const none = tf.scalar(0);
      const [beta1, beta2] = [tf.scalar(ADAM.beta1), tf.scalar(ADAM.beta2)];
      for (const [variable, gradient] of gradients) {
        const own = scaled(rate, rateFactor(variable));
        const penalised = weightDecay > 0 && !decoupled ? gradient.add(variable.read().mul(decay)) : gradient;
        if (weightDecay > 0 && decoupled) variable.subtract(variable.read().mul(scaled(decay, rateFactor(variable))));
        const handles = [variable, first.get(variable) as Variable, second.get(variable) as Variable].map((slot) =>
          slot.handle(),
        );
        effect('ResourceApplyAdam', [...handles, none, none, own, beta1, beta2, epsilon, penalised], { T: float32 });
      }
    },
  };
}

/** Stochastic gradient descent with Nesterov-free momentum, https://pytorch.org/docs/stable/generated/torch.optim.SGD.html */
function sgd(
  runtime: Runtime,
  variables: readonly Variable[],
  { momentum = 0.9, weightDecay = 0, rateFactor = () => 1 }: OptimizerOptions,
): Optimizer {
  const velocity = slots(runtime, variables, 'momentum_buffer');
  return {
    ...zeroes(runtime, [...velocity.values()]),
    coefficients: (learningRate) => ({ rate: learningRate, epsilon: 0, decay: weightDecay }),
    apply: (gradients, { rate, decay }) => {
      for (const [variable, gradient] of gradients) {
        const own = scaled(rate, rateFactor(variable));
        const penalised = weightDecay > 0 ? gradient.add(variable.read().mul(decay)) : gradient;
        const handles = [variable.handle(), (velocity.get(variable) as Variable).handle()];
        effect('ResourceApplyMomentum', [...handles, own, penalised, tf.scalar(momentum)], { T: float32 });
      }
    },
  };
}

export function makeOptimizer(runtime: Runtime, variables: readonly Variable[], options: OptimizerOptions): Optimizer {
  if (options.name === 'sgd') return sgd(runtime, variables, options);
  return adam(runtime, variables, options.name === 'adamw', options);
}
