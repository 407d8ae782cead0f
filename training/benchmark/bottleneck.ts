// What most likely holds a training back on a machine, and what to do about it.
import type { Hyperparameters } from '../hyperparameters';

export type Limit = 'data loading' | 'arithmetic' | 'memory bandwidth' | 'framework overhead';

/** What was seen of the steps in one precision. */
export interface Observation {
  /** Milliseconds, without data loading. */
  readonly step: number;
  /** Milliseconds, with data loading. @default it was not measured */
  readonly loadedStep?: number;
  /** Share of a step in which no op ran. */
  readonly idle: number;
  /** Share of the ops' time that convolutions and matrix products take. */
  readonly arithmetic: number;
  /** Share of the peak of a matrix product that these reach while they run. */
  readonly efficiency: number;
}

export interface Bottleneck {
  readonly limit: Limit;
  readonly reason: string;
  readonly advice: string;
}

const percent = (share: number) => `${(share * 100).toFixed(0)}%`;

/** Data loading that makes steps longer by this share is what to mend first. */
const LOADING = 0.1;
/** So much of a step without any op running is more than what TensorFlow itself needs between two. */
const IDLE = 0.25;

function loading({ step, loadedStep = 0 }: Observation, h: Hyperparameters): Bottleneck {
  return {
    limit: 'data loading',
    reason: `a step takes ${loadedStep.toFixed(0)} ms with data loading and ${step.toFixed(0)} ms without`,
    advice: `raise num_workers (it is ${h.num_workers}), prepare less of each sample, or store the data smaller; num_workers beyond the free cores takes from the step.`,
  };
}

/** @param canHalve whether this machine computes in bf16 or fp16 */
export function findBottleneck(seen: Observation, h: Hyperparameters, canHalve: boolean): Bottleneck {
  if (seen.loadedStep !== undefined && seen.loadedStep > seen.step * (1 + LOADING)) return loading(seen, h);
  if (seen.idle > IDLE) {
    return {
      limit: 'framework overhead',
      reason: `in ${percent(seen.idle)} of a step no op runs: they are too small for the machine`,
      advice: `raise batch_size (it is ${h.batch_size}), or choose larger images or a larger network.`,
    };
  }
  const half = canHalve && h.precision === 'fp32' ? 'precision bf16 (CPU) or fp16 (GPU); ' : '';
  if (seen.arithmetic >= 0.5) {
    return {
      limit: 'arithmetic',
      reason: `convolutions and matrix products take ${percent(seen.arithmetic)} of the ops' time, at ${percent(seen.efficiency)} of the peak of a matrix product`,
      advice: `${half}a smaller network, smaller images, or a machine with more or faster cores.`,
    };
  }
  return {
    limit: 'memory bandwidth',
    reason: `normalisations, activations and the like take ${percent(1 - seen.arithmetic)} of the ops' time: they read and write more than they compute`,
    advice: `${half}fewer filters at full resolution, or a machine with faster memory.${h.gradient_checkpointing ? ' gradient_checkpointing computes them twice: leave it out where memory allows.' : ''}`,
  };
}
