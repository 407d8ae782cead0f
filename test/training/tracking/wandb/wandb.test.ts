// A training told of to a stand-in for W&B, which W&B's own Python client speaks to as well; and all that may go wrong on the way.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type Hyperparameters, resolveHyperparameters } from '../../../../training/hyperparameters';
import { packageRoot } from '../../../../training/native/cache';
import { Wandb, type WandbOptions, wandbRun } from '../../../../training/tracking/wandb/wandb';
import { MOTO_CREDENTIALS, skipMoto, startMoto } from '../../../moto';
import { metricLines, start, TINY } from '../../command-line';
import { writeDataset } from '../../sample-images';
import { temporaryFolder } from '../../temporary-folder';
import { ENTITY, KEY, type KeptRun, WandbServer } from './wandb-server';

const folder = temporaryFolder();
const data = join(folder, 'data');
const PYTHON = join(packageRoot, '.oracle-wandb', 'bin', 'python');
const withoutClient = existsSync(PYTHON) ? false : 'there is no .oracle-wandb; `npm run oracle:wandb` makes it';
let server: WandbServer;

before(() => writeDataset(data, { train: 6, valid: 3, test: 2 }));
beforeEach(async () => {
  server = new WandbServer();
  await server.start();
  process.env.WANDB_API_KEY = KEY;
});
afterEach(async () => {
  await server.stop();
  for (const name of ['WANDB_API_KEY', 'WANDB_API_KEY_SECRET_ARN', 'AWS_ENDPOINT_URL']) delete process.env[name];
});

const settings = [...TINY, '--batch_size=4', '--threads=1', '--use_wandb=true', '--lr_schedule=constant'];
const environment = () => ({ WANDB_API_KEY: KEY, WANDB_BASE_URL: server.url });
const train = (out: string, epochs: number, ...args: string[]) =>
  start(
    'bin/scanline.js',
    ['train', '--data', data, '--out', join(folder, out), ...settings, `--num_epochs=${epochs}`, ...args],
    environment(),
  ).ended;
const stateOf = (out: string) => join(folder, out, 'densenet121', 'model', 'wandb.json');

function open(more: Partial<WandbOptions> = {}): { tracker: Wandb; lines: string[]; options: WandbOptions } {
  const lines: string[] = [];
  const options = {
    ...{ server: server.url, project: 'planes', entity: '', offline: false, runName: 'first', resume: false },
    ...{ parameters: { lr: 0.1, sides: [1, 2] }, stateFile: join(mkdtempSync(join(folder, 'state-')), 'wandb.json') },
    line: (text: string) => void lines.push(text),
    ...more,
  };
  return { tracker: new Wandb(options), lines, options };
}

const only = (): KeptRun => {
  assert.equal(server.runs.length, 1);
  return server.runs[0] as KeptRun;
};
const column = ({ history }: KeptRun, name: string) => history.map((row) => row[name]);

async function until(done: () => boolean): Promise<void> {
  for (let times = 0; !done(); times++) {
    assert.ok(times < 1200, 'it does not happen in two minutes');
    await wait(100);
  }
}

test('parameters, metrics of every epoch, of every class and of the system, results and the summary are in the run', async () => {
  const { status, stdout, stderr } = await train('first', 2, '--wandb_project=planes', '--wandb_run_name=one');
  assert.equal(status, 0, stderr);
  const run = only();
  assert.deepEqual([run.project, run.entity, run.displayName, run.exitCode], ['planes', ENTITY, 'one', 0]);
  assert.deepEqual(run.config.growth_rate, { value: 2 });
  assert.ok(!Object.keys(run.config).some((name) => name.includes('wandb') || name.includes('mlflow')));
  const printed = metricLines(stdout).filter(({ epoch }) => epoch !== undefined);
  assert.deepEqual(
    run.history.slice(0, 2).map(({ epoch, valid_loss }) => [epoch, Number((valid_loss as number).toPrecision(6))]),
    printed.map(({ epoch, valid_loss }) => [epoch, valid_loss]),
  );
  for (const name of ['valid_precision/along', 'valid_recall/across', 'system/cpu_utilization_percentage'])
    assert.equal(column(run, name).filter((value) => typeof value === 'number').length, 2, name);
  assert.deepEqual(column(run, '_step'), [1, 2, 3]);
  assert.equal(typeof run.summary.test_accuracy, 'number');
  assert.equal(run.summary.valid_loss, run.history[1]?.valid_loss);
  assert.match(stdout, new RegExp(`run ${run.id} at ${server.url}/${ENTITY}/planes/runs/${run.id}`));
  assert.doesNotMatch(stdout + stderr + readFileSync(stateOf('first'), 'utf8'), new RegExp(KEY));
});

test('a training that is resumed goes on in the same run, after what is there', async () => {
  await train('resumed', 1);
  await train('resumed', 3);
  const run = only();
  assert.deepEqual(
    column(run, 'epoch').filter((epoch) => epoch !== undefined),
    [1, 2, 3],
  );
  assert.deepEqual(
    column(run, '_step'),
    run.history.map((_, n) => n + 1),
  );
  const times = column(run, '_runtime') as number[];
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('what was told while the server was down is sent when the run is resumed, with the times as they were', async () => {
  await server.stop();
  const first = open();
  first.tracker.metrics(1, { loss: 1 });
  first.tracker.results(1, { accuracy: 0.5 });
  const told = Date.now() / 1000;
  await first.tracker.close('FINISHED');
  assert.equal(first.lines.filter((line) => line.includes('does not take what it is told')).length, 1);
  assert.match(first.lines.at(-1) as string, /W&B: 2 rows were not sent/);
  await server.start();
  const second = open({ ...first.options, resume: true });
  await second.tracker.close('FINISHED');
  const run = only();
  assert.deepEqual(
    [column(run, 'epoch'), column(run, 'best_epoch')],
    [
      [1, undefined],
      [undefined, 1],
    ],
  );
  assert.ok(column(run, '_timestamp').every((time) => (time as number) <= told));
  assert.equal(run.exitCode, 0);
});

test('Ctrl-C ends the training, and what it told last arrives all the same', async () => {
  const args = ['train', '--data', data, '--out', join(folder, 'stopped'), ...settings, '--early_stopping_rounds=0'];
  const child = spawn(
    process.execPath,
    [join(packageRoot, 'dist', 'bin', 'scanline.js'), ...args, '--num_epochs=9999'],
    {
      ...{ detached: true, stdio: 'ignore' },
      env: { ...process.env, ...environment() },
    },
  );
  const closed = new Promise((resolve) => child.once('close', resolve));
  await until(() => (server.runs[0]?.history.length ?? 0) > 0);
  // a terminal sends it to the whole group
  process.kill(-(child.pid as number), 'SIGINT');
  await closed;
  await until(() => only().exitCode !== undefined);
  const { last } = JSON.parse(readFileSync(stateOf('stopped'), 'utf8'));
  assert.deepEqual([only().exitCode, only().history.length], [255, last.epoch]);
});

test('answers that fail for a while lose nothing', async () => {
  server.refusals.push(...[503, 429, 500].map((status) => ({ status })));
  const { tracker } = open();
  tracker.metrics(1, { loss: 1 });
  await until(() => server.runs.length === 1);
  server.refusals.push({ status: 502 });
  tracker.metrics(2, { loss: 0.5 });
  await tracker.close('FINISHED');
  assert.deepEqual(column(only(), 'loss'), [1, 0.5]);
});

test('a server that is away when a run begins, and again within it, gets all of it when it is back', async () => {
  await server.stop();
  const { tracker, lines } = open();
  tracker.metrics(1, { loss: 1 });
  await until(() => lines.length > 0);
  await server.start();
  await until(() => server.runs[0]?.history.length === 1);
  await server.stop();
  tracker.metrics(2, { loss: 0.5 });
  // longer than the SDK waits before it sends
  await wait(5000);
  await server.start();
  await until(() => only().history.length === 2);
  await tracker.close('FINISHED');
  assert.deepEqual(column(only(), 'loss'), [1, 0.5]);
  assert.ok(!lines.join().includes('not sent'), lines.join());
});

test('an answer that is no JSON is told as it is', async () => {
  server.page = '<html>Log in to the network</html>';
  const { tracker, lines } = open();
  tracker.metrics(1, { loss: 1 });
  await tracker.close('FINISHED');
  assert.match(lines.join('\n'), /does not take what it is told \(the answer is not JSON: <html>Log in/);
  assert.match(lines.join('\n'), /1 rows were not sent/);
});

test('a thousand rows that are told at once arrive in order, without the numbers that are not finite', async () => {
  const { tracker } = open();
  for (let epoch = 1; epoch <= 1000; epoch++) tracker.metrics(epoch, { loss: 1 / epoch, none: Number.NaN });
  await tracker.close('FAILED');
  const run = only();
  assert.deepEqual(
    column(run, 'epoch'),
    Array.from({ length: 1000 }, (_, n) => n + 1),
  );
  assert.equal('none' in (run.history[0] ?? {}), false);
  assert.equal(run.exitCode, 1);
});

test('a process that is killed is followed by another one, which tells what the first could not', async () => {
  const { tracker } = open();
  tracker.metrics(1, { loss: 1 });
  await until(() => server.runs[0]?.history.length === 1);
  const child = (tracker as unknown as { process: { pid: number } }).process.pid;
  await server.stop();
  tracker.metrics(2, { loss: 0.5 });
  process.kill(child, 'SIGKILL');
  await until(() => (tracker as unknown as { process?: unknown }).process === undefined);
  await server.start();
  tracker.metrics(3, { loss: 0.25 });
  await tracker.close('FINISHED');
  const run = only();
  assert.deepEqual(column(run, 'loss'), [1, 0.5, 0.25]);
  assert.deepEqual(column(run, '_step'), [1, 2, 3]);
});

test('a key that is refused is warned of with what the server said', async () => {
  process.env.WANDB_API_KEY = 'f'.repeat(40);
  const { tracker, lines } = open();
  tracker.metrics(1, { loss: 1 });
  await tracker.close('FINISHED');
  assert.match(lines.join('\n'), /does not take what it is told \(401 .*user is not logged in/);
  assert.match(lines.join('\n'), /1 rows were not sent/);
});

test('what GraphQL refuses in an answer of 200 is warned of', async () => {
  server.refusals.push({ status: 200, body: { data: null, errors: [{ message: 'the team is not there' }] } });
  const { tracker, lines } = open({ entity: 'nobody' });
  await tracker.close('FINISHED');
  assert.match(lines.join('\n'), /does not take what it is told \(the team is not there\)/);
});

test('what is told offline is kept, and sent when the run is resumed online; an epoch that is told again is not', async () => {
  const first = open({ offline: true });
  first.tracker.metrics(1, { loss: 1 });
  await first.tracker.close('KILLED');
  assert.deepEqual(server.log, []);
  assert.match(first.lines.join(), /W&B: offline; .*1 rows were not sent; they are when .* without WANDB_MODE/);
  const second = open({ ...first.options, offline: false, resume: true });
  second.tracker.metrics(1, { loss: 1 });
  second.tracker.metrics(2, { loss: 0.5 });
  await second.tracker.close('FINISHED');
  assert.deepEqual(column(only(), 'loss'), [1, 0.5]);
});

const asked = (values: Partial<Hyperparameters>, environment: Record<string, string>) => {
  const { values: h } = resolveHyperparameters(new Map());
  return wandbRun({ ...h, ...values }, environment);
};
const SECRET = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:wandb-AbCdEf';

test('it is switched on by use_wandb, or a secret for it; a key alone does not, and WANDB_MODE=disabled switches it off', () => {
  assert.ok(asked({ use_wandb: true }, { WANDB_API_KEY: KEY }));
  assert.ok(asked({}, { WANDB_API_KEY_SECRET_ARN: SECRET }));
  assert.equal(asked({}, { WANDB_API_KEY: KEY }), undefined);
  assert.equal(asked({ use_wandb: true }, { WANDB_MODE: 'disabled' }), undefined);
});

test('hyperparameters win over the environment, and that over what is usual', () => {
  const environment = {
    ...{ WANDB_API_KEY: KEY, WANDB_PROJECT: 'lungs', WANDB_ENTITY: 'ward', WANDB_NAME: 'night' },
    ...{ WANDB_BASE_URL: 'https://wandb.clinic.test/', WANDB_MODE: 'offline' },
  };
  assert.deepEqual(asked({ use_wandb: true }, { WANDB_API_KEY: KEY }), {
    ...{ server: 'https://api.wandb.ai', project: 'scanline', entity: '', name: undefined, offline: false },
  });
  assert.deepEqual(asked({ use_wandb: true }, environment), {
    ...{ server: 'https://wandb.clinic.test', project: 'lungs', entity: 'ward', name: 'night', offline: true },
  });
  const given = { use_wandb: true, wandb_project: 'brains', wandb_entity: 'lab', wandb_run_name: 'day' };
  const { project, entity, name } = asked(given, environment) ?? {};
  assert.deepEqual([project, entity, name], ['brains', 'lab', 'day']);
});

test('use_wandb without a key is refused', () => {
  assert.throws(() => asked({ use_wandb: true }, {}), {
    name: 'UserError',
    message: /use_wandb is true, but there is no key/,
  });
});

test('the key is read from Secrets Manager, in the region that its ARN names', { skip: skipMoto }, async (context) => {
  const endpoint = await startMoto(context);
  Object.assign(process.env, MOTO_CREDENTIALS, { AWS_ENDPOINT_URL: endpoint });
  delete process.env.WANDB_API_KEY;
  const client = new SecretsManagerClient({ region: 'eu-west-1' });
  const { ARN } = await client.send(new CreateSecretCommand({ Name: 'wandb', SecretString: `${KEY}\n` }));
  process.env.WANDB_API_KEY_SECRET_ARN = ARN;
  const { tracker } = open();
  tracker.metrics(1, { loss: 1 });
  await tracker.close('FINISHED');
  assert.deepEqual(column(only(), 'loss'), [1]);
});

test("W&B's Python client finds the same in our run as in its own", { skip: withoutClient }, async () => {
  const { tracker } = open();
  for (let epoch = 1; epoch <= 3; epoch++) tracker.metrics(epoch, { loss: 1 / epoch });
  await tracker.close('FINISHED');
  const ours = only();
  const program = `
import json, wandb
with wandb.init(project="planes", name="first", config={"lr": 0.1, "sides": [1, 2]}) as run:
    for epoch in range(1, 4):
        run.log({"epoch": epoch, "loss": 1 / epoch}, step=epoch)
def read(id):
    kept = wandb.Api().run(f"${ENTITY}/planes/{id}")
    rows = kept.history(pandas=False)
    return [kept.name, kept.state, kept.config, [[row[name] for name in ("_step", "epoch", "loss")] for row in rows],
        [kept.summary[name] for name in ("epoch", "loss")], sorted(set(rows[0]))]
print(json.dumps([read(run.id), read("${ours.id}")]))`;
  // not spawnSync: the stand-in is of this process
  const child = spawn(PYTHON, ['-c', program], {
    env: { ...process.env, ...environment(), WANDB_SILENT: 'true', WANDB_DIR: folder },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(child.exitCode, 0, stderr);
  const [theirs, read] = JSON.parse(stdout.trim().split('\n').at(-1) as string);
  assert.deepEqual(read, theirs);
});
