// Which validation was the best: by the metric that is monitored, as many as are kept.
import { UserError } from '../../errors';
import type { BestModel, EpochRecord, Progress } from './checkpoint';

export type Mode = 'min' | 'max';

/** Whether lower or higher values of a metric are better: lower for losses and distances. */
export function modeOf(metric: string): Mode {
  return /loss|distance|hausdorff/.test(metric) ? 'min' : 'max';
}

/**
 * The value that is monitored.
 *
 * @throws UserError when there is none, as the area under a ROC of a single class
 */
export function scoreOf(record: EpochRecord, monitor: string): number {
  const value = (record as unknown as Record<string, unknown>)[monitor];
  if (typeof value === 'number') return value;
  const known = Object.keys(record).filter((name) => name.startsWith('valid_'));
  throw new UserError(
    `monitor is ${monitor}, which does not exist on this validation part.`,
    `choose one of ${known.join(', ')}.`,
  );
}

/** The best models with another among them, the best first, no more than `keep`; an earlier one wins over an equal one. */
export function ranked(best: readonly BestModel[], other: BestModel, mode: Mode, keep: number): BestModel[] {
  const sign = mode === 'min' ? 1 : -1;
  // a score that is not a number is no score
  const all = Number.isFinite(other.score) ? [...best, other] : [...best];
  return all.sort((a, b) => sign * (a.score - b.score) || a.epoch - b.epoch).slice(0, keep);
}

/** @throws UserError when no validation had a score */
export function bestOf({ best, step }: Progress): BestModel {
  if (best[0]) return best[0];
  throw new UserError(
    `after ${step} steps there is no best model: every validation loss was not a number.`,
    'lower learning_rate, or check the images with `scanline predict`.',
  );
}
