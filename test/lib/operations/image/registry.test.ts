// Amazon ECR as moto plays it, and the credentials that tools get for one command.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CreateRepositoryCommand, DescribeRepositoriesCommand, ECRClient, PutImageCommand } from '@aws-sdk/client-ecr';
import {
  ecrCredentials,
  ensureRepository,
  taggedDigest,
  withCredentials,
} from '../../../../lib/operations/image/registry';
import { packageRoot } from '../../../../training/native/cache';
import { withoutOracle } from '../../../training/oracle';
import { temporaryFolder } from '../../../training/temporary-folder';
import { eventually } from '../../local/control-plane';

const region = 'eu-central-1';
const settings = { skip: withoutOracle };
const CREDENTIALS = [{ host: 'registry.test', token: 'QVdTOnNlY3JldA==' }];

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

let moto: ChildProcess | undefined;

before(async () => {
  if (withoutOracle) return;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  moto = spawn(join(packageRoot, '.oracle', 'bin', 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  Object.assign(process.env, { AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  await eventually(
    () =>
      fetch(url).then(
        () => true,
        () => undefined,
      ),
    60,
  );
});

after(() => {
  moto?.kill('SIGKILL');
});

test('a repository with a key is encrypted with it', settings, async () => {
  const kmsKey = 'arn:aws:kms:eu-central-1:123456789012:key/a';
  assert.deepEqual(await ensureRepository({ region, name: 'with-key', kmsKey }), { created: true, lacks: [] });
  const { repositories } = await new ECRClient({ region }).send(
    new DescribeRepositoriesCommand({ repositoryNames: ['with-key'] }),
  );
  assert.deepEqual(repositories?.[0]?.encryptionConfiguration, { encryptionType: 'KMS', kmsKey });
});

test('a repository that is there is left as it is, and what it lacks is told', settings, async () => {
  const client = new ECRClient({ region });
  await client.send(new CreateRepositoryCommand({ repositoryName: 'old' }));
  const { created, lacks } = await ensureRepository({ region, name: 'old' });
  assert.equal(created, false);
  assert.deepEqual(lacks, ['does not scan images on push', 'has tags that can be moved']);
});

test('the registry of the account is told with what logs in to it', settings, async () => {
  const { host, token } = await ecrCredentials(region);
  assert.match(host, /^\d{12}\.dkr\.ecr\.eu-central-1\.amazonaws\.com$/);
  assert.match(Buffer.from(token, 'base64').toString(), /^AWS:.+/);
});

test('the token for another account names its registry', settings, async () => {
  const { host } = await ecrCredentials(region, '763104351884');
  assert.equal(host, '763104351884.dkr.ecr.eu-central-1.amazonaws.com');
});

test('a name that ECR does not take is refused with what ECR says', settings, async () => {
  await assert.rejects(ensureRepository({ region, name: 'No Capitals' }), /InvalidParameterException[\s\S]*Fix: /);
});

test('a tag tells the digest of its image, and one that no image has tells none', settings, async () => {
  const client = new ECRClient({ region });
  await client.send(new CreateRepositoryCommand({ repositoryName: 'tagged' }));
  const image = {
    repositoryName: 'tagged',
    imageTag: 'v1',
    imageManifest: JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, layers: [] }),
  };
  const put = await client.send(new PutImageCommand(image));
  assert.equal(await taggedDigest(region, 'tagged', 'v1'), put.image?.imageId?.imageDigest);
  assert.equal(await taggedDigest(region, 'tagged', 'v2'), undefined);
});

test('credentials are in a file of the user alone, which is gone afterwards', async () => {
  let seen = '';
  await withCredentials('podman', CREDENTIALS, async ({ REGISTRY_AUTH_FILE: file = '' }) => {
    seen = file;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).auths['registry.test'], { auth: 'QVdTOnNlY3JldA==' });
  });
  assert.equal(existsSync(seen), false);
});

test('credentials are gone after a failure too', async () => {
  let seen = '';
  const failing = withCredentials('podman', CREDENTIALS, async ({ REGISTRY_AUTH_FILE: file = '' }) => {
    seen = file;
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  assert.equal(existsSync(seen), false);
});

test('what the user has logged in to stays, and docker does not ask its keychain about the new registry', async () => {
  const folder = temporaryFolder();
  const own = { auths: { 'other.test': { auth: 'eA==' } }, credsStore: 'desktop' };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(own));
  process.env.DOCKER_CONFIG = folder;
  process.env.DOCKER_HOST = 'unix:///run/docker.sock';
  try {
    await withCredentials('docker', CREDENTIALS, async ({ DOCKER_CONFIG: given = '' }) => {
      const config = JSON.parse(readFileSync(join(given, 'config.json'), 'utf8'));
      assert.deepEqual(Object.keys(config.auths), ['other.test', 'registry.test']);
      assert.equal(config.credsStore, 'desktop');
      assert.deepEqual(config.credHelpers, { 'registry.test': '' });
    });
  } finally {
    delete process.env.DOCKER_CONFIG;
    delete process.env.DOCKER_HOST;
  }
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')), own);
});
