// The bill of materials of the image, from what its build finds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { billOfMaterials } from '../../containers/byoc/sbom';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

/** The package.json files of two packages. */
const TWO = 'node_modules/fastify/package.json\nnode_modules/@fastify/error/package.json\n';

/** What a build finds, for images whose npm packages add up. */
function partsOf(shipped: string, ...images: string[]): string {
  const parts = temporaryFolder();
  for (const [i, image] of images.entries()) {
    const { stdout } = spawnSync('npm', ['sbom', '--omit=dev', '--package-lock-only', '--sbom-format=cyclonedx'], {
      cwd: join(packageRoot, 'containers', image),
      encoding: 'utf8',
    });
    writeFileSync(join(parts, i === 0 ? 'npm.json' : `npm-${image}.json`), stdout);
  }
  writeFileSync(join(parts, 'shipped.txt'), shipped);
  writeFileSync(join(parts, 'debian.tsv'), 'libc6\t2.36-9+deb12u10\tamd64\n');
  return parts;
}

const requirementsOf = (flavour: 'cpu' | 'gpu') =>
  join(packageRoot, 'training', 'native', `requirements-${flavour}.txt`);

const bill = (flavour: 'cpu' | 'gpu', shipped = TWO) =>
  billOfMaterials(partsOf(shipped, 'byoc'), requirementsOf(flavour));

const purls = (flavour: 'cpu' | 'gpu') => bill(flavour).components.map(({ purl }) => purl);

test('the bill has the shipped packages of npm, Node.js, TensorFlow and what the base image has of Debian', () => {
  const found = purls('cpu').map((purl) => purl.replace(/@[^@]*$/, ''));
  assert.deepEqual(found.sort(), [
    'pkg:deb/debian/libc6',
    'pkg:generic/node',
    'pkg:npm/%40fastify/error',
    'pkg:npm/fastify',
    'pkg:pypi/tensorflow-cpu',
  ]);
});

test('the bill of the GPU image has the wheels of CUDA, with the hashes that were checked', () => {
  const wheels = bill('gpu').components.filter(({ purl }) => purl.startsWith('pkg:pypi/'));
  assert.ok(wheels.some(({ name }) => name === 'nvidia-cudnn-cu12'));
  for (const { hashes } of wheels) assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{64}$/);
});

test('the bill of script mode has its packages besides', () => {
  const parts = partsOf(`${TWO}node_modules/esbuild/package.json\n`, 'byoc', 'script-mode');
  const { components } = billOfMaterials(parts, requirementsOf('cpu'));
  const names = components.map(({ name }) => name);
  assert.ok(names.includes('fastify') && names.includes('esbuild'), names.join());
});

test('dependencies name only what is in the bill', () => {
  const { components, dependencies } = bill('cpu');
  const known = new Set(components.map((component) => component['bom-ref']));
  const named = dependencies.flatMap(({ dependsOn }) => dependsOn);
  assert.deepEqual(
    named.filter((ref) => !known.has(ref)),
    [],
  );
});

test('nothing is in the bill twice', () => {
  const { packages } = require(join(packageRoot, 'containers', 'byoc', 'package-lock.json'));
  const all = Object.keys(packages).map((path) => `${path}/package.json\n`);
  const { components, dependencies } = bill('cpu', all.join(''));
  assert.ok(components.length > 100);
  for (const refs of [components.map((component) => component['bom-ref']), dependencies.map(({ ref }) => ref)])
    assert.equal(new Set(refs).size, refs.length);
});

test('the same contents have the same bill', () => {
  assert.deepEqual(bill('cpu'), bill('cpu'));
});
