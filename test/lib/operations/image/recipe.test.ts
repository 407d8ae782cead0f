// Which image a pipeline's folder makes, when it is up to date, and the mock /opt/ml that a shell finds in it.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { folderRecipe, isBuilt, ownRecipe, SOURCES_LABEL, sourcesOf } from '../../../../lib/operations/image/recipe';
import { mockOptMl } from '../../../../lib/operations/image/shell';
import { trainingEnvironment } from '../../../../training/container';
import { temporaryFolder } from '../../../training/temporary-folder';

function imageFolder(): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY train /\n');
  writeFileSync(join(folder, 'train'), 'one');
  writeFileSync(join(folder, '.dockerignore'), 'notes\n');
  return folder;
}

/** Runs a function with a podman that has an image of these sources. */
function withImageOf(sources: string, body: () => void): void {
  const folder = temporaryFolder();
  const script = `#!/bin/sh\ncase "$*" in *'"${SOURCES_LABEL}"'*) echo ${sources};; esac\n`;
  writeFileSync(join(folder, 'podman'), script);
  chmodSync(join(folder, 'podman'), 0o755);
  const { PATH } = process.env;
  process.env.PATH = `${folder}:${PATH}`;
  try {
    body();
  } finally {
    process.env.PATH = PATH;
  }
}

test('an image is up to date until a file that goes into it changes', () => {
  const folder = imageFolder();
  const recipe = folderRecipe(folder);
  withImageOf(sourcesOf(recipe), () => {
    assert.equal(isBuilt('podman', recipe), true);
    writeFileSync(join(folder, 'notes'), 'what .dockerignore leaves out');
    assert.equal(isBuilt('podman', recipe), true);
    writeFileSync(join(folder, 'train'), 'two');
    assert.equal(isBuilt('podman', recipe), false);
  });
});

test('the builds for CPU and GPU, and that of script mode, are images of their own', () => {
  const folder = imageFolder();
  const recipes = [
    ownRecipe(folder, 'byoc', 'cpu'),
    ownRecipe(folder, 'byoc', 'gpu'),
    ownRecipe(folder, 'script-mode', 'cpu'),
  ];
  assert.deepEqual(
    recipes.map(({ tag }) => tag),
    ['scanline/byoc:cpu', 'scanline/byoc:gpu', 'scanline/script-mode:cpu'],
  );
  assert.equal(new Set(recipes.map(sourcesOf)).size, recipes.length);
});

test('folders of the same name make images of different names', () => {
  const folders = ['a', 'b'].map((name) => join(temporaryFolder(), name, 'My Trainer'));
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n');
  }
  const [first, second] = folders.map((folder) => folderRecipe(folder).tag) as [string, string];
  assert.match(first, /^scanline-local\/my-trainer-[0-9a-f]{8}$/);
  assert.notEqual(first, second);
});

test('a folder without a Dockerfile is refused, with the way to do without', () => {
  assert.throws(() => folderRecipe(temporaryFolder()), /has no Dockerfile[\s\S]*Fix: add one; or.*--executor process/);
});

test('the mock /opt/ml is what a training job takes', () => {
  const folder = temporaryFolder();
  mockOptMl(folder, { channels: { train: '/images' }, hyperparameters: { num_epochs: '3' } });
  process.env.SAGEMAKER_BASE_DIR = folder;
  try {
    const { folders, hyperparametersFile, checkpointDir } = trainingEnvironment();
    assert.equal(folders.train, join(folder, 'input', 'data', 'train'));
    assert.equal(checkpointDir, join(folder, 'checkpoints'));
    assert.deepEqual(JSON.parse(readFileSync(hyperparametersFile, 'utf8')), { num_epochs: '3' });
  } finally {
    delete process.env.SAGEMAKER_BASE_DIR;
  }
});
