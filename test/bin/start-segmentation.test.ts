// What `npm start -- --task segmentation` runs, on fewer volumes and a smaller network: from subjects to a report with pictures.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { assertClose } from '../training/assert-close';
import { scanline } from '../training/command-line';
import { writeVolumes } from '../training/sample-volumes';
import { temporaryFolder } from '../training/temporary-folder';

test('it splits, trains, evaluates, passes the gate on the mean Dice, registers, deploys, and asks about held-out volumes', async () => {
  const folder = temporaryFolder();
  await writeVolumes(join(folder, 'volumes'), { train: 4, valid: 4 });
  writeFileSync(
    join(folder, 'app.js'),
    `const { App } = require(${JSON.stringify(join(packageRoot, 'node_modules', 'aws-cdk-lib'))});
     const { TrainingStack } = require(${JSON.stringify(join(packageRoot, 'dist', 'lib'))});
     new TrainingStack(new App(), 'Reduced', {
       pipelineName: 'reduced',
       hyperparameters: {
         model_name: 'segresnet', init_filters: 4, num_groups: 2, blocks_down: [1, 1], blocks_up: [1],
         roi_size: [8], num_epochs: 2, learning_rate: 0.02,
       },
     });`,
  );
  const places = ['--data', join(folder, 'volumes'), '--state', join(folder, 'state'), '--out', join(folder, 'r.html')];
  const app = ['--app', `node ${join(folder, 'app.js')}`, '--task', 'segmentation'];
  const { status, stdout, stderr } = await scanline('run', ...app, ...places, '--parameter', 'LeastDice=0');
  assert.equal(status, 0, `${stdout}${stderr}`);

  const dice = /^dice=(\d\.\d{4}); mean of the held-out volumes$/m.exec(stdout)?.[1];
  assert.ok(dice !== undefined && Number(dice) > 0 && Number(dice) <= 1, stdout);
  const versions = readdirSync(join(folder, 'state', 'model-packages')).filter((name) => name.endsWith('.json'));
  assert.equal(versions.length, 1);
  const html = readFileSync(join(folder, 'r.html'), 'utf8');
  assert.ok(html.includes(`<span class="number">${Number(dice).toFixed(3)}</span> mean Dice`), dice);
  // half of the four that were held out from training
  assert.match(html, /Evaluation on 2 held-out volumes/);
  assert.equal(html.match(/<figure class="volume"><img src="data:image\/png;base64,/g)?.length, 2);

  // what the endpoint said beside the labels: the mean of its Dice is the evaluation's
  const told = [...stdout.matchAll(/^ {2}(subject_\d+) +label 1 +(\d+\.\d) ml +(\d+\.\d) ml +(\d\.\d{4})$/gm)];
  assert.equal(told.length, 2, stdout);
  const overlaps = told.map(([, name, , , value]) => {
    assert.ok(html.includes(`<b>${name}</b><br>label 1: Dice ${Number(value).toFixed(3)}`), name);
    return Number(value);
  });
  assertClose([overlaps.reduce((sum, value) => sum + value) / 2], [Number(dice)], 1e-4, 'mean Dice');
  assert.deepEqual(readdirSync(join(folder, 'state', 'endpoints')), []);
});
