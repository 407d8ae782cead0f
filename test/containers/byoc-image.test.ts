// The images' recipe, manifests, lockfiles and build context, without building them; byoc.sh and script-mode-image.ts build and run them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { ByocImage } from '../../lib/stages/byoc-image';
import { packageRoot } from '../../training/native/cache';

type Locked = Record<string, { version?: string; integrity?: string }>;

function readJson(...path: string[]) {
  return JSON.parse(readFileSync(join(packageRoot, ...path), 'utf8'));
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The packages that the sources of some rooms import. */
function importsOf(...rooms: string[]): string[] {
  const imports = rooms
    .flatMap((room) => filesBelow(join(packageRoot, room)))
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...readFileSync(file, 'utf8').matchAll(/\b(?:(?:from|import)\s+|(?:import|require)\()'([^'.][^']*)'/g),
    ])
    .map((match) => match[1] as string)
    .filter((name) => !name.startsWith('node:'))
    .map((name) => name.split('/', name.startsWith('@') ? 2 : 1).join('/'));
  return [...new Set(imports)].sort();
}

const LINTER = join(packageRoot, '.oracle', 'bin', 'hadolint');
const withoutLinter = existsSync(LINTER) ? false : 'hadolint is not installed: `npm run oracle` does it';

test('hadolint finds nothing in the recipe', { skip: withoutLinter }, () => {
  const { status, stdout, stderr } = spawnSync(LINTER, [join(packageRoot, 'containers', 'byoc', 'Dockerfile')], {
    encoding: 'utf8',
  });
  assert.deepEqual({ status, found: stdout + stderr }, { status: 0, found: '' });
});

const dependenciesOf = (image: string) => Object.keys(readJson('containers', image, 'package.json').dependencies);

test('the manifest names every package that the image runs', () => {
  assert.deepEqual(importsOf('training', 'containers/byoc'), dependenciesOf('byoc').sort());
});

test('the manifest of script mode names what its image has besides', () => {
  const shared = new Set(dependenciesOf('byoc'));
  const own = importsOf('containers/script-mode').filter((name) => !shared.has(name));
  assert.deepEqual(own, dependenciesOf('script-mode').sort());
});

for (const image of ['byoc', 'script-mode']) {
  test(`the lockfile of ${image} pins the very packages that the tests of this checkout run with`, () => {
    const here: Locked = readJson('package-lock.json').packages;
    const locked: Locked = readJson('containers', image, 'package-lock.json').packages;
    const differing = Object.keys(locked).filter(
      (path) => path !== '' && locked[path]?.integrity !== here[path]?.integrity,
    );
    assert.deepEqual(
      differing,
      [],
      `copy package-lock.json to containers/${image}, and run \`npm install --package-lock-only\` there`,
    );
  });
}

test('the build context holds what the image is made of, so that nothing else changes its hash', () => {
  const outdir = mkdtempSync(join(tmpdir(), 'scanline-image-'));
  after(() => rmSync(outdir, { recursive: true, force: true }));
  const app = new App({ outdir });
  ByocImage.scanline(new Stack(app, 'Stack'), 'Image');
  app.synth();
  const [asset, ...others] = readdirSync(outdir).filter((name) => name.startsWith('asset.'));
  assert.deepEqual(others, []);
  const context = join(outdir, asset as string);

  const files = filesBelow(context).map((file) => file.slice(context.length + 1));
  const unexpected = files.filter(
    (file) => !/^(training|containers\/(byoc|script-mode))\/|^(tsconfig\.json|\.dockerignore)$/.test(file),
  );
  assert.deepEqual(unexpected, []);
  assert.deepEqual(
    files.filter((file) => file.includes('node_modules')),
    [],
  );
  for (const file of ['containers/byoc/Dockerfile', 'containers/byoc/package-lock.json', 'training/engine/fit.ts']) {
    assert.ok(files.includes(file), `${file} is missing`);
  }
});
