// All trackers that hyperparameters or the environment ask for, as one.
import { join } from 'node:path';
import { type Hyperparameters, SPECS } from '../hyperparameters';
import { Mlflow, mlflowServer } from './mlflow/mlflow';
import type { RunStatus, Tracker, TrackerOptions, Values } from './tracker';
import { Wandb, wandbRun } from './wandb/wandb';

class All implements Tracker {
  constructor(private readonly trackers: readonly Tracker[]) {}

  metrics(epoch: number, values: Values): void {
    for (const tracker of this.trackers) tracker.metrics(epoch, values);
  }

  results(epoch: number, values: Values): void {
    for (const tracker of this.trackers) tracker.results(epoch, values);
  }

  model(folder: string): void {
    for (const tracker of this.trackers) tracker.model(folder);
  }

  async close(status: RunStatus): Promise<void> {
    await Promise.all(this.trackers.map((tracker) => tracker.close(status)));
  }
}

/**
 * All trackers that are asked for, as one; of none, it does nothing.
 *
 * @param places `folder` keeps what each has to remember
 * @throws UserError where one is asked for that lacks its server or key
 */
export function openTrackers(
  h: Hyperparameters,
  { folder, resume, line }: Pick<TrackerOptions, 'resume' | 'line'> & { readonly folder: string },
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Tracker {
  const parameters = Object.fromEntries(Object.entries(h).filter(([name]) => SPECS.get(name)?.section !== 'tracking'));
  const common = (name: string, file: string): TrackerOptions => ({
    ...{ resume, line, parameters, stateFile: join(folder, file) },
    runName: h.num_folds > 1 ? `${name} fold ${h.fold}` : name,
  });
  const mlflow = mlflowServer(h, environment);
  const wandb = wandbRun(h, environment);
  return new All([
    ...(mlflow ? [new Mlflow({ ...mlflow, ...common(h.model_name, 'mlflow.json') })] : []),
    ...(wandb ? [new Wandb({ ...wandb, ...common(wandb.name ?? h.model_name, 'wandb.json') })] : []),
  ]);
}
