// The learning rate of each step.

export type ScheduleName = 'constant' | 'cosine' | 'onecycle' | 'polynomial' | 'step';

export interface ScheduleOptions {
  readonly name: ScheduleName;
  /** The largest learning rate. */
  readonly peak: number;
  /** Steps of the whole training. */
  readonly steps: number;
  /** Steps in which the rate rises linearly from 0 to the peak; onecycle has its own rise. */
  readonly warmupSteps: number;
}

/** From `from` at 0 to `to` at 1, along half a cosine. */
function cosineBetween(from: number, to: number, progress: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** Smith & Topin, https://arxiv.org/abs/1708.07120, as torch.optim.lr_scheduler.OneCycleLR by its defaults: the last step is the lowest. */
function oneCycle(step: number, steps: number): number {
  const [top, last] = [0.3 * steps - 1, steps - 1];
  if (step < top) return cosineBetween(1 / 25, 1, step / top);
  return cosineBetween(1, 1 / 25e4, Math.min(1, (step - top) / (last - top)));
}

/** Shares of the peak over the progress of training, 0 at its first step and 1 at its end. */
const SHAPES: Readonly<Record<Exclude<ScheduleName, 'onecycle'>, (progress: number) => number>> = {
  constant: () => 1,
  // Loshchilov & Hutter, https://arxiv.org/abs/1608.03983, without restarts
  cosine: (progress) => cosineBetween(1, 0, progress),
  // as nnU-Net, https://doi.org/10.1038/s41592-020-01008-z
  polynomial: (progress) => (1 - progress) ** 0.9,
  step: (progress) => 0.1 ** Math.floor(progress * 3),
};

/** The learning rate of a step, 0 for the first. */
export function learningRate(step: number, { name, peak, steps, warmupSteps }: ScheduleOptions): number {
  if (name === 'onecycle') return peak * oneCycle(step, steps);
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  return peak * SHAPES[name](progress);
}
