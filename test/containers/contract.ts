// Scanline's image against SageMaker's contract, in real containers: no point is broken, and none is left out.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../lib/contract';
import { packageRoot } from '../../training/native/cache';
import { writeDataset } from '../training/sample-images';
import { temporaryFolder } from '../training/temporary-folder';
import { IMAGE, tool, withoutContainers } from './tools';

const TINY = ['init_features=4', 'growth_rate=2', 'bn_size=1', 'block_config=1,1', 'img_size=32', 'batch_size=4'];

test("Scanline's image passes every point of the contract", { skip: withoutContainers }, async () => {
  const data = temporaryFolder();
  await writeDataset(data, { train: 40, validation: 4 });
  const given = [...TINY, 'num_epochs=40', 'checkpoint_interval=3'].flatMap((pair) => ['--hyperparameter', pair]);
  const request = join(data, 'validation', 'along', '0.png');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      ...[join(packageRoot, 'dist/bin/scanline.js'), 'contract', 'test', IMAGE, '--tool', tool, '--json'],
      ...['--data', data, '--request', request, ...given],
    ],
    { encoding: 'utf8' },
  );
  const { findings } = JSON.parse(stdout || '{}') as { findings: Finding[] };
  assert.deepEqual(
    findings.filter(({ verdict }) => verdict !== 'pass'),
    [],
    stderr,
  );
  assert.equal(status, 0);
});
