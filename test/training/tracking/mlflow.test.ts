// A training told of to a real MLflow server, read back by MLflow's own client; and one whose server is down for a while.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { packageRoot } from '../../../training/native/cache';
import { Mlflow } from '../../../training/tracking/mlflow';
import { managedMlflow, signed } from '../../../training/tracking/sagemaker-mlflow';
import { metricLines, scanline, TINY } from '../command-line';
import { askOracle, withoutOracle } from '../oracle';
import { writeDataset } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const mlflow = join(packageRoot, '.oracle', 'bin', 'mlflow');
const skip =
  withoutOracle || (existsSync(mlflow) ? false : 'there is no MLflow in .oracle; test/oracle/setup.sh installs it');
let port: number;
let server: ChildProcess | undefined;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
}

async function startServer(): Promise<void> {
  const places = [
    '--backend-store-uri',
    `sqlite:///${folder}/mlflow.db`,
    '--artifacts-destination',
    join(folder, 'artifacts'),
  ];
  const child = spawn(mlflow, ['server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1', ...places], {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: 'true', MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false' },
  });
  server = child;
  for (;;) {
    const healthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (healthy) return;
    assert.equal(child.exitCode, null, 'the MLflow server ended');
    await wait(200);
  }
}

async function stopServer(): Promise<void> {
  const child = server;
  server = undefined;
  if (child?.pid === undefined || child.exitCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  // it has workers, which are of its own group
  process.kill(-child.pid, 'SIGKILL');
  await closed;
}

before(async () => {
  await writeDataset(data, { train: 6, valid: 3, test: 2 });
  if (skip) return;
  port = await freePort();
  await startServer();
});
after(stopServer);

const uri = () => `http://127.0.0.1:${port}`;
const settings = [...TINY, '--batch_size=4', '--threads=1', '--checkpoint_interval=1'];
const train = (out: string, ...more: string[]) =>
  scanline('train', '--data', data, '--out', join(folder, out), ...settings, `--mlflow_tracking_uri=${uri()}`, ...more);

interface Run {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly params: Record<string, string>;
  readonly history: Record<string, [step: number, value: number][]>;
  readonly artifacts: string[];
}

/** All runs of an experiment, as MLflow's own client sees them. */
function runsOf(experiment: string): Run[] {
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
  return askOracle<Run[]>(program, uri(), experiment);
}

test('parameters, metrics of every epoch, of every class and of the system, and the model are in the run', {
  skip,
}, async () => {
  const { status, stdout, stderr } = await train('first', '--num_epochs=2', '--mlflow_experiment_name=planes');
  assert.equal(status, 0, stderr);
  const [run, ...others] = runsOf('planes');
  assert.equal(others.length, 0);
  assert.equal(run?.status, 'FINISHED');
  assert.equal(run?.params.growth_rate, '2');
  assert.equal(run?.params.mlflow_tracking_uri, undefined);
  const printed = metricLines(stdout).filter(({ epoch }) => epoch !== undefined);
  const rounded = run?.history.valid_loss?.map(([step, value]) => [step, Number(value.toPrecision(6))]);
  assert.deepEqual(
    rounded,
    printed.map(({ epoch, valid_loss }) => [epoch, valid_loss]),
  );
  for (const name of [
    'valid_precision/along',
    'valid_recall/across',
    'system/cpu_utilization_percentage',
    'train_loss',
  ])
    assert.equal(run?.history[name]?.length, 2, name);
  assert.equal(run?.history.test_accuracy?.length, 1);
  for (const file of [
    'model/MLmodel',
    'model/model.safetensors',
    'model/saved_model/saved_model.pb',
    'model/label_dict.json',
  ])
    assert.ok(run?.artifacts.includes(file), `${file} of ${run?.artifacts}`);
});

test('MLflow loads the model from the run', { skip }, () => {
  const [run] = runsOf('planes');
  const load = `
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.tensorflow.load_model(f"runs:/{sys.argv[2]}/model")
import tensorflow as tf
print(json.dumps(model.signatures["serving_default"](images=tf.ones([1, 32, 32, 1]))["probabilities"].numpy().tolist()))`;
  const [probabilities] = askOracle<number[][]>(load, uri(), run?.id as string);
  assert.ok(Math.abs((probabilities as number[]).reduce((a, b) => a + b) - 1) < 1e-5);
});

test('a training that is resumed goes on in the same run', { skip }, async () => {
  await train('resumed', '--num_epochs=1', '--mlflow_experiment_name=resumed', '--lr_schedule=constant');
  await train('resumed', '--num_epochs=3', '--mlflow_experiment_name=resumed', '--lr_schedule=constant');
  const [run, ...others] = runsOf('resumed');
  assert.equal(others.length, 0);
  assert.deepEqual(
    run?.history.train_loss?.map(([step]) => step),
    [1, 2, 3],
  );
});

test('a server that is down stops nothing, is warned of once without the password, and is told all when it is back', {
  skip,
}, async () => {
  await stopServer();
  const secret = uri().replace('http://', 'http://ada:s3cret@');
  const first = await train(
    'down',
    '--num_epochs=2',
    `--mlflow_tracking_uri=${secret}`,
    '--mlflow_experiment_name=down',
  );
  assert.equal(first.status, 0, first.stderr);
  assert.equal(first.stdout.match(/does not take what it is told/g)?.length, 1);
  assert.match(first.stdout, /messages were not sent/);
  assert.doesNotMatch(first.stdout + first.stderr, /s3cret/);
  assert.doesNotMatch(readFileSync(join(folder, 'down', 'densenet121', 'model', 'mlflow.json'), 'utf8'), /s3cret/);
  await startServer();
  await train('down', '--num_epochs=2', '--mlflow_experiment_name=down');
  const [run] = runsOf('down');
  assert.equal(run?.status, 'FINISHED');
  assert.deepEqual(
    run?.history.train_loss?.map(([step]) => step),
    [1, 2],
  );
  assert.ok(run?.artifacts.includes('model/MLmodel'));
});

test('use_mlflow without a server is refused before training', async () => {
  const args = ['--data', data, '--out', join(folder, 'none'), ...TINY, '--use_mlflow=true'];
  const { status, stderr } = await scanline('train', ...args);
  assert.equal(status, 1);
  assert.match(stderr, /use_mlflow is true, but there is no server/);
});

const SERVER = 'arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/team';
const APP = 'arn:aws:sagemaker:us-east-2:111122223333:mlflow-app/app-ABC123';

test('an ARN stands for the endpoint that AWS`s own plugin uses, and one of another kind is refused', () => {
  assert.equal(managedMlflow(SERVER).endpoint, 'https://eu-west-1.experiments.sagemaker.aws');
  assert.equal(managedMlflow(APP).endpoint, 'https://mlflow.sagemaker.us-east-2.app.aws');
  assert.throws(() => managedMlflow('arn:aws:s3:::bucket'), /is not the ARN of an MLflow server/);
});

for (const arn of [SERVER, APP]) {
  test(`requests to ${arn.split(':')[5]} are signed as botocore signs them`, { skip: withoutOracle }, async () => {
    const managed = managedMlflow(arn);
    const url = new URL('/api/2.0/mlflow/runs/get?run_id=a%20b&x=1', managed.endpoint);
    const body = Buffer.from('{"name": "ä"}');
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI', sessionToken: 'token' };
    const headers = await signed(
      managed,
      { method: 'POST', url, headers: { 'content-type': 'application/json' }, body },
      credentials,
      new Date('2026-11-22T08:00:00Z'),
    );
    const { authorization, ...rest } = headers;
    const program = `
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
url, body, headers, service, region = json.loads(sys.argv[1])
auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "token"), service, region)
request = AWSRequest(method="POST", url=url, data=body.encode(), headers=headers)
request.context["timestamp"] = headers["x-amz-date"]
request.context["payload_signing_enabled"] = True
canonical = auth.canonical_request(request)
print(json.dumps(auth.signature(auth.string_to_sign(request, canonical), request)))`;
    const told = JSON.stringify([url.href, body.toString(), rest, managed.service, managed.region]);
    assert.equal(/Signature=(\w+)/.exec(authorization as string)?.[1], askOracle(program, told));
  });
}

test('what is told before the server answers is sent in order, and numbers that are not finite are left out', {
  skip,
}, async () => {
  const lines: string[] = [];
  const tracker = new Mlflow({
    ...{ uri: uri(), experiment: 'order', runName: 'order', resume: false, parameters: { a: 1 } },
    ...{ stateFile: join(folder, 'order.json'), line: (text: string) => void lines.push(text) },
  });
  for (let step = 0; step < 5; step++) tracker.metrics(step, { value: step / 2, none: Number.NaN, 'odd:name': 1 });
  await tracker.close('KILLED');
  const [run] = runsOf('order');
  assert.equal(run?.status, 'KILLED');
  assert.deepEqual(Object.keys(run?.history ?? {}).sort(), ['odd_name', 'value']);
  assert.deepEqual(run?.history.value, [
    [0, 0],
    [1, 0.5],
    [2, 1],
    [3, 1.5],
    [4, 2],
  ]);
});
