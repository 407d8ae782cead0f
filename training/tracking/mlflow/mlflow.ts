// Tells an MLflow server of a training, over its REST API (https://mlflow.org/docs/latest/rest-api.html). A server that is down stops
// nothing: what it should know waits, and is sent later, after a restart too.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { finite, type RunStatus, type Tracker, type TrackerOptions, type Values } from '../tracker';
import { type ArtifactRoot, artifactRoot, S3Artifacts } from './artifact-store';
import { type ManagedMlflow, managedMlflow, signed } from './sagemaker-mlflow';

export interface MlflowOptions extends TrackerOptions {
  /** http(s)://..., or the ARN of a server that SageMaker manages. */
  readonly uri: string;
  readonly experiment: string;
  /** @default the environment's MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

type Task =
  | { readonly kind: 'metrics'; readonly metrics: readonly Metric[] }
  | { readonly kind: 'artifact'; readonly path: string; readonly to: string }
  | { readonly kind: 'status'; readonly status: RunStatus | 'RUNNING'; readonly time: number };

interface State {
  readonly uri: string;
  readonly runId?: string;
  readonly pending: readonly Task[];
}

/** Milliseconds that a request may take. */
const PATIENCE = 15_000;

/** What MLflow takes in one request: https://mlflow.org/docs/latest/rest-api.html#log-batch */
const LARGEST_BATCH = { params: 100, metrics: 1000 };

/** What MLflow allows in a metric's name; anything else becomes an underscore. */
const toName = (name: string) => name.replace(/[^\w\-. /]/g, '_');

/** An answer that is not what was asked for. */
class RequestFailure extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Whether a message was refused for what it is, and would be refused for ever. */
function isRefusal(error: Error): boolean {
  return error instanceof RequestFailure && (error.status === 400 || error.status === 413);
}

/** The server's settings from hyperparameters and the environment; undefined where MLflow is not asked for. */
export function mlflowServer(
  h: Hyperparameters,
  environment: Readonly<Record<string, string | undefined>>,
): Pick<MlflowOptions, 'uri' | 'experiment'> | undefined {
  const uri = h.mlflow_tracking_uri || environment.MLFLOW_TRACKING_URI || '';
  if (uri === '' && h.use_mlflow) {
    throw new UserError(
      'use_mlflow is true, but there is no server.',
      'give mlflow_tracking_uri, or set MLFLOW_TRACKING_URI in the environment.',
    );
  }
  if (uri === '') return undefined;
  return { uri, experiment: h.mlflow_experiment_name || environment.MLFLOW_EXPERIMENT_NAME || 'scanline' };
}

export class Mlflow implements Tracker {
  private readonly managed: ManagedMlflow | undefined;
  private readonly base: URL;
  private readonly authorization: string | undefined;
  private runId: string | undefined;
  private root: ArtifactRoot | undefined;
  private readonly s3: S3Artifacts;
  private queue: Task[] = [];
  private begun = false;
  private warned = false;
  private scheduled = false;
  private sending: Promise<void> = Promise.resolve();

  constructor(private readonly options: MlflowOptions) {
    const { uri, stateFile, resume, environment = process.env } = options;
    this.s3 = new S3Artifacts(environment);
    this.managed = uri.startsWith('arn:') ? managedMlflow(uri) : undefined;
    const url = new URL(this.managed?.endpoint ?? uri);
    const user = decodeURIComponent(url.username) || environment.MLFLOW_TRACKING_USERNAME;
    const password = decodeURIComponent(url.password) || environment.MLFLOW_TRACKING_PASSWORD;
    // fetch takes none in an address, and neither does a log
    [url.username, url.password] = ['', ''];
    this.base = url;
    const token = environment.MLFLOW_TRACKING_TOKEN;
    if (user) this.authorization = `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`;
    else if (token) this.authorization = `Bearer ${token}`;
    const known = resume ? readState(stateFile, url.href) : undefined;
    this.runId = known?.runId;
    this.queue = [...(known?.pending ?? [])];
    if (this.runId) this.queue.push({ kind: 'status', status: 'RUNNING', time: Date.now() });
    this.flush();
  }

  metrics(epoch: number, values: Values): void {
    const timestamp = Date.now();
    const entries = Object.entries(finite(values));
    const metrics = entries.map(([name, value]) => ({ key: toName(name), value, timestamp, step: epoch }));
    this.enqueue({ kind: 'metrics', metrics });
  }

  results(epoch: number, values: Values): void {
    this.metrics(epoch, values);
  }

  /** A file, or all files of a folder, below a folder of the run's artifacts. */
  artifacts(path: string, to: string): void {
    const files = statSync(path).isDirectory() ? filesBelow(path) : [path];
    const root = statSync(path).isDirectory() ? path : dirname(path);
    for (const file of files) this.enqueue({ kind: 'artifact', path: file, to: join(to, relative(root, file)) });
  }

  /** A model folder, such that `mlflow.tensorflow.load_model('runs:/RUN/model')` loads it. */
  model(folder: string): void {
    const description = join(dirname(this.options.stateFile), 'MLmodel');
    writeFileSync(description, MLMODEL);
    this.artifacts(folder, 'model');
    this.enqueue({ kind: 'artifact', path: description, to: 'model/MLmodel' });
  }

  /** Ends the run, and waits until all is sent, or the server has failed again. */
  async close(status: RunStatus): Promise<void> {
    this.enqueue({ kind: 'status', status, time: Date.now() });
    await this.sending;
    this.saveState();
    if (this.queue.length > 0)
      this.options.line(`MLflow: ${this.queue.length} messages were not sent; they are when this training is resumed`);
  }

  private enqueue(task: Task): void {
    this.queue.push(task);
    this.flush();
  }

  /** Sends what waits, in order, after what is being sent; asked for again before it begins, it is done once. */
  private flush(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.sending = this.sending.then(() => {
      this.scheduled = false;
      return this.sendAll();
    });
  }

  private async sendAll(): Promise<void> {
    try {
      if (this.queue.length > 0) await this.begin();
      while (this.queue[0]) {
        await this.send(this.queue[0]).catch((error: Error) => {
          if (!isRefusal(error)) throw error;
          this.warn(error);
        });
        this.queue.shift();
      }
    } catch (error) {
      this.warn(error as Error);
    }
  }

  private warn(error: Error): void {
    if (this.warned) return;
    this.warned = true;
    const cause = error.cause instanceof Error ? error.cause.message : error.message;
    this.options.line(
      `MLflow: ${this.base.host} does not take what it is told (${cause}); training goes on, it is tried again`,
    );
  }

  private async begin(): Promise<void> {
    if (this.begun) return;
    const { experiment, runName, parameters, line } = this.options;
    const created = this.runId === undefined;
    if (created) {
      const body = {
        experiment_id: await this.experimentId(experiment),
        run_name: runName,
        start_time: Date.now(),
        tags: [{ key: 'mlflow.source.name', value: 'scanline' }],
      };
      const { run } = await this.call<{ run: { info: { run_id: string } } }>('POST', 'runs/create', body);
      this.runId = run.info.run_id;
      this.saveState();
    }
    const { run } = await this.call<{ run: { info: { artifact_uri: string } } }>(
      'GET',
      `runs/get?run_id=${this.runId}`,
    );
    this.root = artifactRoot(run.info.artifact_uri);
    if (!this.root)
      line(`MLflow: no artifacts are kept: ${run.info.artifact_uri} is neither in S3 nor passed on by the server`);
    const params = Object.entries(parameters).map(([key, value]) => ({ key: toName(key), value: String(value ?? '') }));
    for (let i = 0; created && i < params.length; i += LARGEST_BATCH.params)
      await this.call('POST', 'runs/log-batch', {
        run_id: this.runId,
        params: params.slice(i, i + LARGEST_BATCH.params),
      });
    this.begun = true;
    line(`MLflow: run ${this.runId} of experiment ${experiment} on ${this.base.host}`);
  }

  private async experimentId(name: string): Promise<string> {
    try {
      const query = `experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`;
      return (await this.call<{ experiment: { experiment_id: string } }>('GET', query)).experiment.experiment_id;
    } catch (error) {
      if (!(error instanceof RequestFailure) || error.status !== 404) throw error;
      return (await this.call<{ experiment_id: string }>('POST', 'experiments/create', { name })).experiment_id;
    }
  }

  private async send(task: Task): Promise<void> {
    if (task.kind === 'metrics') {
      const { metrics } = task;
      for (let i = 0; i < metrics.length; i += LARGEST_BATCH.metrics)
        await this.call('POST', 'runs/log-batch', {
          run_id: this.runId,
          metrics: metrics.slice(i, i + LARGEST_BATCH.metrics),
        });
    } else if (task.kind === 'artifact') await this.upload(task.path, task.to);
    else {
      const ended = task.status !== 'RUNNING' && { end_time: task.time };
      await this.call('POST', 'runs/update', { run_id: this.runId, status: task.status, ...ended });
    }
  }

  private async upload(path: string, to: string): Promise<void> {
    if (this.root === undefined || !existsSync(path)) return;
    if (this.root.kind === 's3') return this.s3.put(path, this.root, to);
    const place = [...this.root.path.split('/'), ...to.split('/')].map(encodeURIComponent).join('/');
    await this.request(
      'PUT',
      `api/2.0/mlflow-artifacts/artifacts/${place}`,
      readFileSync(path),
      'application/octet-stream',
    );
  }

  private async call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const bytes = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body));
    return JSON.parse(await this.request(method, `api/2.0/mlflow/${path}`, bytes, 'application/json')) as Answer;
  }

  private async request(method: string, path: string, body: Uint8Array, type: string): Promise<string> {
    const url = new URL(path, this.base.href.endsWith('/') ? this.base : `${this.base.href}/`);
    const headers: Record<string, string> = { 'content-type': type };
    if (this.authorization) headers.authorization = this.authorization;
    const response = await fetch(url, {
      method,
      headers: this.managed ? await signed(this.managed, { method, url, headers, body }) : headers,
      ...(method !== 'GET' && { body: Buffer.from(body) }),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await response.text();
    if (response.ok) return text;
    throw new RequestFailure(response.status, `${response.status} ${response.statusText}: ${text.slice(0, 200)}`);
  }

  private saveState(): void {
    const state: State = { uri: this.base.href, pending: this.queue, ...(this.runId && { runId: this.runId }) };
    mkdirSync(dirname(this.options.stateFile), { recursive: true });
    writeFileSync(this.options.stateFile, `${JSON.stringify(state, null, 2)}\n`);
  }
}

function readState(path: string, uri: string): State | undefined {
  if (!existsSync(path)) return undefined;
  const state = JSON.parse(readFileSync(path, 'utf8')) as State;
  return state.uri === uri ? state : undefined;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** https://mlflow.org/docs/latest/ml/model/#storage-format */
const MLMODEL = `artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.tensorflow
  tensorflow:
    code: null
    model_type: tf2-module
    saved_model_dir: saved_model
`;
