// A real MLflow server, and what MLflow's own client finds on it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { packageRoot } from '../../../../training/native/cache';
import { askOracle } from '../../oracle';

const MLFLOW = join(packageRoot, '.oracle', 'bin', 'mlflow');

export const skipMlflow = existsSync(MLFLOW) ? false : 'there is no MLflow in .oracle; `npm run oracle` installs it';

export interface Run {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly params: Record<string, string>;
  readonly history: Record<string, [step: number, value: number][]>;
  readonly artifacts: string[];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
}

export class MlflowServer {
  private process: ChildProcess | undefined;
  private port: number | undefined;

  /**
   * @param folder gets its database
   * @param places arguments that say where artifacts go
   */
  constructor(
    private readonly folder: string,
    private readonly places: readonly string[],
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** On the same port as before. */
  async start(): Promise<void> {
    this.port ??= await freePort();
    const store = ['--backend-store-uri', `sqlite:///${this.folder}/mlflow.db`, ...this.places];
    const child = spawn(
      MLFLOW,
      ['server', '--host', '127.0.0.1', '--port', `${this.port}`, '--workers', '1', ...store],
      {
        stdio: 'ignore',
        detached: true,
        env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: 'true', MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false' },
      },
    );
    this.process = child;
    for (;;) {
      const healthy = await fetch(`${this.url}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (healthy) return;
      assert.equal(child.exitCode, null, 'the MLflow server ended');
      await wait(200);
    }
  }

  async stop(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    // it has workers, which are of its own group
    process.kill(-child.pid, 'SIGKILL');
    await closed;
  }

  /** All runs of an experiment, as MLflow's own client sees them. */
  runs(experiment: string): Run[] {
    const program = `
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name(sys.argv[2])
def files(run, path=None):
    for entry in client.list_artifacts(run, path):
        yield from (files(run, entry.path) if entry.is_dir else [entry.path])
print(json.dumps([{
    "id": run.info.run_id, "name": run.info.run_name, "status": run.info.status, "params": run.data.params,
    "history": {key: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics},
    "artifacts": sorted(files(run.info.run_id)),
} for run in client.search_runs([experiment.experiment_id])]))`;
    return askOracle<Run[]>(program, this.url, experiment);
  }
}
