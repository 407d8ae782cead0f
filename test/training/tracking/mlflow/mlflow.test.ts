// A training told of to a real MLflow server, read back by MLflow's own client; and one whose server is down for a while.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Mlflow } from '../../../../training/tracking/mlflow/mlflow';
import { managedMlflow, signed } from '../../../../training/tracking/mlflow/sagemaker-mlflow';
import { metricLines, scanline, TINY } from '../../command-line';
import { askOracle, withoutOracle } from '../../oracle';
import { writeDataset } from '../../sample-images';
import { temporaryFolder } from '../../temporary-folder';
import { MlflowServer, skipMlflow } from './mlflow-server';

const folder = temporaryFolder();
const data = join(folder, 'data');
const server = new MlflowServer(folder, ['--artifacts-destination', join(folder, 'artifacts')]);

before(async () => {
  await writeDataset(data, { train: 6, valid: 3, test: 2 });
  if (!skipMlflow) await server.start();
});
after(() => server.stop());

const uri = () => server.url;
const settings = [...TINY, '--batch_size=4', '--threads=1', '--checkpoint_interval=1'];
const train = (out: string, ...more: string[]) =>
  scanline('train', '--data', data, '--out', join(folder, out), ...settings, `--mlflow_tracking_uri=${uri()}`, ...more);

test('parameters, metrics of every epoch, of every class and of the system, and the model are in the run', {
  skip: skipMlflow,
}, async () => {
  const { status, stdout, stderr } = await train('first', '--num_epochs=2', '--mlflow_experiment_name=planes');
  assert.equal(status, 0, stderr);
  const [run, ...others] = server.runs('planes');
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

test('MLflow loads the model from the run', { skip: skipMlflow }, () => {
  const [run] = server.runs('planes');
  const load = `
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.tensorflow.load_model(f"runs:/{sys.argv[2]}/model")
import tensorflow as tf
print(json.dumps(model.signatures["serving_default"](images=tf.ones([1, 32, 32, 1]))["probabilities"].numpy().tolist()))`;
  const [probabilities] = askOracle<number[][]>(load, uri(), run?.id as string);
  assert.ok(Math.abs((probabilities as number[]).reduce((a, b) => a + b) - 1) < 1e-5);
});

test('a training that is resumed goes on in the same run', { skip: skipMlflow }, async () => {
  await train('resumed', '--num_epochs=1', '--mlflow_experiment_name=resumed', '--lr_schedule=constant');
  await train('resumed', '--num_epochs=3', '--mlflow_experiment_name=resumed', '--lr_schedule=constant');
  const [run, ...others] = server.runs('resumed');
  assert.equal(others.length, 0);
  assert.deepEqual(
    run?.history.train_loss?.map(([step]) => step),
    [1, 2, 3],
  );
});

test('a server that is down stops nothing, is warned of once without the password, and is told all when it is back', {
  skip: skipMlflow,
}, async () => {
  await server.stop();
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
  await server.start();
  await train('down', '--num_epochs=2', '--mlflow_experiment_name=down');
  const [run] = server.runs('down');
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
  skip: skipMlflow,
}, async () => {
  const lines: string[] = [];
  const tracker = new Mlflow({
    ...{ uri: uri(), experiment: 'order', runName: 'order', resume: false, parameters: { a: 1 } },
    ...{ stateFile: join(folder, 'order.json'), line: (text: string) => void lines.push(text) },
  });
  for (let step = 0; step < 5; step++) tracker.metrics(step, { value: step / 2, none: Number.NaN, 'odd:name': 1 });
  await tracker.close('KILLED');
  const [run] = server.runs('order');
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
