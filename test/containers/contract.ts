// Images against SageMaker's contract, in real containers: Scanline's breaks no point and leaves none out, and one that is made to is caught.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../lib/contract';
import { packageRoot } from '../../training/native/cache';
import { writeDataset } from '../training/sample-images';
import { temporaryFolder } from '../training/temporary-folder';
import { ask, IMAGE, tool, withoutContainers } from './tools';

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

/** Writes its log where a hardened host lets nobody write, and is started through a shell, by a user who is not root. */
const BAD_IMAGE = `
FROM ${IMAGE}
COPY server.js /srv/server.js
RUN mkdir /var/log/server && chown 1000:1000 /var/log/server
USER 1000
ENTRYPOINT node /srv/server.js
`;

const BAD_SERVER = `
const { appendFileSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  appendFileSync('/var/log/server/access.log', request.url + '\\n');
  response.end('fine');
}).listen(8080);
`;

test('what an image and its root file system break is caught on these points', { skip: withoutContainers }, () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'Dockerfile'), BAD_IMAGE);
  writeFileSync(join(folder, 'server.js'), BAD_SERVER);
  const name = `localhost/scanline-bad-${process.pid}:1`;
  ask('build', '--tag', name, folder);
  try {
    const { stdout, status } = spawnSync(
      process.execPath,
      [
        join(packageRoot, 'dist/bin/scanline.js'),
        ...['contract', 'test', name, '--tool', tool, '--only', 'serving', '--json'],
      ],
      { encoding: 'utf8' },
    );
    const { findings } = JSON.parse(stdout || '{}') as { findings: Finding[] };
    const verdictOf = (asked: string) => findings.find(({ point }) => point === asked)?.verdict;
    assert.equal(status, 1);
    assert.equal(verdictOf('serving/healthy'), 'pass');
    assert.equal(verdictOf('image/entry-point'), 'fail');
    assert.equal(verdictOf('image/user'), 'hint');
    assert.equal(verdictOf('serving/malformed'), 'pass');
    assert.equal(verdictOf('serving/read-only-root'), 'hint');
    assert.equal(verdictOf('serving/sigterm'), 'fail');
  } finally {
    ask('rmi', '--force', name);
  }
});
