// The command lines of builds, and which base images are logged in to; test/containers builds for real.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildCommand, buildImage } from '../../../../lib/operations/image/build';
import { repositoryName } from '../../../../lib/operations/image/push';
import { ecrRegistry, registryHost } from '../../../../lib/operations/image/registry';

const OPTIONS = { tool: 'docker', folder: '/app', tag: 'a:1' } as const;

test('docker and podman build for the processors that SageMaker has, with one date', () => {
  assert.equal(
    buildCommand(OPTIONS).join(' '),
    'build --platform linux/amd64 --tag a:1 --file /app/Dockerfile --build-arg SOURCE_DATE_EPOCH=0 /app',
  );
  assert.equal(
    buildCommand({ ...OPTIONS, tool: 'podman' }).join(' '),
    'build --platform linux/amd64 --tag a:1 --file /app/Dockerfile --format docker --layers --timestamp 0 /app',
  );
});

test('a stage of a Dockerfile is built by its name', () => {
  assert.match(buildCommand({ ...OPTIONS, target: 'script-mode' }).join(' '), / --target script-mode /);
});

test('a build may take no layer from an earlier one', () => {
  assert.match(buildCommand({ ...OPTIONS, cache: false }).join(' '), / --no-cache /);
  assert.doesNotMatch(buildCommand(OPTIONS).join(' '), /--no-cache/);
});

test('the base image and build arguments are arguments, and secrets are secrets', () => {
  const command = buildCommand({
    ...OPTIONS,
    baseImage: 'node:20',
    buildArguments: { TENSORFLOW: 'gpu' },
    secrets: ['id=npmrc,src=/home/a/.npmrc'],
  }).join(' ');
  assert.match(
    command,
    /--build-arg TENSORFLOW=gpu --build-arg BASE_IMAGE=node:20 --secret id=npmrc,src=\/home\/a\/\.npmrc/,
  );
});

test('the registry of an image is what looks like a host', () => {
  assert.equal(registryHost('node:20'), undefined);
  assert.equal(registryHost('library/node:20'), undefined);
  assert.equal(registryHost('localhost/node:20'), 'localhost');
  assert.equal(registryHost('127.0.0.1:5000/node'), '127.0.0.1:5000');
});

test('registries of ECR tell their account and region, those of China and FIPS too', () => {
  const registry = { account: '123456789012', region: 'eu-central-1' };
  assert.deepEqual(ecrRegistry('123456789012.dkr.ecr.eu-central-1.amazonaws.com'), registry);
  assert.deepEqual(ecrRegistry('123456789012.dkr.ecr-fips.eu-central-1.amazonaws.com'), registry);
  assert.equal(ecrRegistry('123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn')?.region, 'cn-north-1');
  assert.equal(ecrRegistry('evil.test/123456789012.dkr.ecr.eu-central-1.amazonaws.com'), undefined);
  assert.equal(ecrRegistry('docker.io'), undefined);
});

test("an image of AWS's in a region where another account publishes is refused, with the right one", async () => {
  const baseImage = '763104351884.dkr.ecr.eu-south-1.amazonaws.com/pytorch-training:2.6-cpu-py312';
  await assert.rejects(
    buildImage({ ...OPTIONS, baseImage }),
    /publishes no images as account 763104351884 in eu-south-1[\s\S]*Fix: there it is 692866216735: 692866216735\.dkr\.ecr\.eu-south-1/,
  );
});

test("a repository's name is the image's, without registry, tag and digest", () => {
  assert.equal(repositoryName('localhost/scanline/byoc:cpu'), 'scanline/byoc');
  assert.equal(repositoryName('scanline/byoc:cpu'), 'scanline/byoc');
  assert.equal(repositoryName('127.0.0.1:5000/a/b@sha256:00'), 'a/b');
  assert.equal(repositoryName('node'), 'node');
});
