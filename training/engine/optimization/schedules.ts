// The learning rate of each step.

export type ScheduleName = 'constant' | 'cosine' | 'onecycle' | 'plateau' | 'polynomial' | 'step';

export interface ScheduleOptions {
  readonly name: ScheduleName;
  /** The largest learning rate. */
  readonly peak: number;
  /** Updates of the weights in the whole training. */
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
  // what a Plateau has made of the peak
  plateau: () => 1,
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

export interface PlateauOptions {
  /** Whether a lower or a higher score is better. */
  readonly mode: 'min' | 'max';
  /** Validations without a better score before the rate is lowered. */
  readonly patience: number;
  /** What the rate is then multiplied by. */
  readonly factor: number;
  /** The learning rate before it was lowered. */
  readonly peak: number;
}

/** What a resumed training needs of a Plateau. */
export interface PlateauState {
  /** What the rate is multiplied by at present. */
  readonly factor: number;
  /** Absent before the first validation. */
  readonly best?: number;
  /** Validations since the best one, or since the rate was lowered. */
  readonly bad: number;
}

/** A score must be better than the best by this share of it; a rate is not lowered by less than this. */
const PLATEAU = { threshold: 1e-4, least: 1e-8 };

/** Lowers the learning rate when a score gets no better, as torch.optim.lr_scheduler.ReduceLROnPlateau by its defaults. */
export class Plateau {
  private current: PlateauState = { factor: 1, bad: 0 };

  constructor(private readonly options: PlateauOptions) {}

  get state(): PlateauState {
    return this.current;
  }

  restore(state: PlateauState): void {
    this.current = state;
  }

  /** @param score of a validation */
  update(score: number): void {
    const { patience, factor, peak } = this.options;
    const { best, bad, factor: present } = this.current;
    if (best === undefined || this.isBetter(score, best)) {
      this.current = { factor: present, best: score, bad: 0 };
    } else if (bad + 1 <= patience) {
      this.current = { factor: present, best, bad: bad + 1 };
    } else {
      const lower = peak * present * (1 - factor) > PLATEAU.least ? present * factor : present;
      this.current = { factor: lower, best, bad: 0 };
    }
  }

  private isBetter(score: number, best: number): boolean {
    return this.options.mode === 'min'
      ? score < best * (1 - PLATEAU.threshold)
      : score > best * (1 + PLATEAU.threshold);
  }
}
