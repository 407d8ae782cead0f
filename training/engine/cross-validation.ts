// Cross-validation: one training for each fold, and what they say together.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors';
import type { EpochRecord } from './checkpoints/checkpoint';
import { type FitOptions, type FitResult, fit } from './fit';

/** Of one metric over the folds; the deviation is that of a sample (n - 1). */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
}

export interface CrossValidation {
  /** The best epoch of each fold. */
  readonly folds: readonly EpochRecord[];
  /** By name, of the metrics of validation. */
  readonly metrics: Readonly<Record<string, Spread>>;
}

/** Mean and standard deviation of each validation metric that every fold has. */
export function summarise(folds: readonly EpochRecord[]): CrossValidation {
  const rows = folds as unknown as Readonly<Record<string, number | undefined>>[];
  const names = Object.keys(rows[0] ?? {}).filter((name) => name.startsWith('valid_'));
  const metrics = names.flatMap((name) => {
    const values = rows.map((row) => row[name]).filter((value) => value !== undefined);
    if (values.length < rows.length) return [];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return [[name, { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) }] as const];
  });
  return { folds, metrics: Object.fromEntries(metrics) };
}

/** The options of a fold's own training: all that it writes is below a folder of its own. */
function optionsOfFold(options: FitOptions, fold: number): FitOptions {
  const below = (folder: string) => join(folder, `fold_${fold}`);
  return {
    ...options,
    hyperparameters: { ...options.hyperparameters, fold: String(fold) },
    outputDir: below(options.outputDir),
    ...(options.modelDir && { modelDir: below(options.modelDir) }),
    ...(options.checkpointDir && { checkpointDir: below(options.checkpointDir) }),
    ...(options.tensorBoardDir && { tensorBoardDir: below(options.tensorBoardDir) }),
  };
}

/**
 * Trains, or with fold `all` trains once for each fold, one after the other, and writes {outputDir}/cross_validation.json. What is done is
 * not done again: a fold that has ended is resumed at its end.
 *
 * @throws UserError for data, settings or checkpoints that the user must mend
 */
export async function fitFolds(
  options: FitOptions,
  print: (text: string) => void,
): Promise<FitResult | CrossValidation> {
  const { fold, num_folds: count } = options.hyperparameters;
  if (fold !== 'all') return fit(options);
  if (count < 2)
    throw new UserError(`fold is all, but num_folds is ${count}.`, 'say how many folds there are, e.g. num_folds 5.');
  if (options.resume !== undefined && options.resume !== 'auto' && options.resume !== 'none')
    throw new UserError('one checkpoint cannot be resumed by all folds.', 'leave out --resume, or name one fold.');
  const best: EpochRecord[] = [];
  for (let number = 0; number < count; number++) {
    const result = await fit(optionsOfFold(options, number));
    if (!result.best) return result;
    best.push(result.best);
  }
  const summary = summarise(best);
  if (!options.fastDevRun) {
    mkdirSync(options.outputDir, { recursive: true });
    const path = join(options.outputDir, 'cross_validation.json');
    writeFileSync(path, `${JSON.stringify(summary, null, 2)}\n`);
  }
  const told = Object.entries(summary.metrics).map(
    ([name, { mean, deviation }]) => `${name} ${mean.toPrecision(4)} ± ${deviation.toPrecision(2)}`,
  );
  print(`cross-validation over ${count} folds: ${told.join(', ')}`);
  return summary;
}
