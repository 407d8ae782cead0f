// Several trackers at once: each is told all, whatever becomes of another.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolveHyperparameters } from '../../../training/hyperparameters';
import { openTrackers } from '../../../training/tracking/open-trackers';
import { temporaryFolder } from '../temporary-folder';
import { KEY, WandbServer } from './wandb/wandb-server';

const given = (values: Record<string, unknown>) =>
  resolveHyperparameters(new Map(Object.entries(values).map(([name, value]) => [name, { value, from: 'test' }])))
    .values;

test('W&B is told all while MLflow is down, which is told when it is back; a fold is in the name of its run', async (context) => {
  const server = new WandbServer();
  await server.start();
  context.after(() => server.stop());
  process.env.WANDB_API_KEY = KEY;
  const folder = temporaryFolder();
  const lines: string[] = [];
  // nothing listens on port 1
  const h = given({ use_wandb: true, mlflow_tracking_uri: 'http://127.0.0.1:1', num_folds: 3, fold: 2 });
  const places = { folder, resume: false, line: (text: string) => void lines.push(text) };
  const trackers = openTrackers(h, places, { WANDB_API_KEY: KEY, WANDB_BASE_URL: server.url });
  trackers.metrics(1, { loss: 1 });
  trackers.results(1, { test_loss: 0.5 });
  trackers.model(folder);
  await trackers.close('FINISHED');
  const [run] = server.runs;
  assert.equal(run?.displayName, 'densenet121 fold 2');
  assert.deepEqual(
    run?.history.map(({ loss, test_loss }) => [loss, test_loss]),
    [
      [1, undefined],
      [undefined, 0.5],
    ],
  );
  assert.match(lines.join('\n'), /MLflow: 127.0.0.1:1 does not take what it is told/);
  assert.ok(existsSync(join(folder, 'mlflow.json')));
});

test('where nothing is asked for, nothing is done and nothing is written', async () => {
  const folder = temporaryFolder();
  const trackers = openTrackers(given({}), { folder, resume: false, line: assert.fail }, { WANDB_API_KEY: KEY });
  trackers.metrics(1, { loss: 1 });
  await trackers.close('FINISHED');
  assert.equal(existsSync(join(folder, 'wandb.json')) || existsSync(join(folder, 'mlflow.json')), false);
});
