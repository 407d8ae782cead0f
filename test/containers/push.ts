// `scanline image push` against a real registry (Debian's docker-registry) that asks for the token of moto's ECR, and a pull back.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  DescribeRepositoriesCommand,
  ECRClient,
  GetLifecyclePolicyCommand,
  PutImageCommand,
} from '@aws-sdk/client-ecr';
import { imageId } from '../../lib/local/jobs/container-tool';
import { ecrCredentials } from '../../lib/operations/image/registry';
import { packageRoot } from '../../training/native/cache';
import { eventually } from '../lib/local/control-plane';
import { start } from '../training/command-line';
import { askOracle, withoutOracle } from '../training/oracle';
import { temporaryFolder } from '../training/temporary-folder';
import { ask, IMAGE, tool, withoutContainers } from './tools';

const withoutRegistry = spawnSync('docker-registry', ['--version']).error
  ? 'there is no docker-registry; apt-get install docker-registry'
  : false;
const settings = { skip: withoutContainers || withoutOracle || withoutRegistry, timeout: 600_000 };

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';

const started: ChildProcess[] = [];
let registry: string;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

function serve(command: string, args: readonly string[]): void {
  started.push(spawn(command, args, { stdio: 'ignore' }));
}

const answers = (url: string) =>
  eventually(
    () =>
      fetch(url).then(
        (response) => response.status,
        () => undefined,
      ),
    60,
  );

/** A registry that takes one user with one password, and a stand-in for ECR that gives it. */
before(async () => {
  if (settings.skip) return;
  const folder = temporaryFolder();
  const [motoPort, registryPort] = [await freePort(), await freePort()];
  serve(join(packageRoot, '.oracle', 'bin', 'moto_server'), ['-H', '127.0.0.1', '-p', String(motoPort)]);
  const moto = `http://127.0.0.1:${motoPort}`;
  Object.assign(process.env, {
    ...{ AWS_ENDPOINT_URL: moto, AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  });
  await answers(moto);
  const { token } = await ecrCredentials('eu-central-1');
  const [user, password] = Buffer.from(token, 'base64').toString().split(':') as [string, string];
  const hash =
    'import bcrypt, json, sys; print(json.dumps(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(4)).decode()))';
  writeFileSync(join(folder, 'users'), `${user}:${askOracle<string>(hash, password)}\n`);
  const configuration = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: join(folder, 'images') } },
    http: { addr: `127.0.0.1:${registryPort}` },
    auth: { htpasswd: { realm: 'test', path: join(folder, 'users') } },
  };
  // YAML takes JSON
  writeFileSync(join(folder, 'registry.yml'), JSON.stringify(configuration));
  serve('docker-registry', ['serve', join(folder, 'registry.yml')]);
  registry = `127.0.0.1:${registryPort}`;
  assert.equal(await answers(`http://${registry}/v2/`), 401);
});

after(() => {
  for (const child of started) child.kill('SIGKILL');
});

/** Pushes the image, a gigabyte that is packed on the way. */
function push(...args: string[]) {
  const target = ['--region', 'eu-central-1', '--registry', registry, '--no-tls-verify'];
  return start('bin/scanline.js', ['image', 'push', IMAGE, ...target, ...args], {}, settings.timeout).ended;
}

let uri = '';

test('push makes the repository, pushes, and prints the URI with the digest alone', settings, async () => {
  const { status, stdout, stderr } = await push();
  assert.equal(status, 0, stderr);
  assert.match(stderr, /made the repository scanline\/byoc/);
  assert.match(stdout, new RegExp(`^${registry}/scanline/byoc@sha256:[0-9a-f]{64}\\n$`));
  uri = stdout.trim();
});

test('the repository is scanned on push, immutable and encrypted, and its untagged images go', settings, async () => {
  const client = new ECRClient({ region: 'eu-central-1' });
  const { repositories } = await client.send(new DescribeRepositoriesCommand({ repositoryNames: ['scanline/byoc'] }));
  const [repository] = repositories ?? [];
  assert.equal(repository?.imageScanningConfiguration?.scanOnPush, true);
  assert.equal(repository?.imageTagMutability, 'IMMUTABLE');
  assert.equal(repository?.encryptionConfiguration?.encryptionType, 'AES256');
  const { lifecyclePolicyText } = await client.send(new GetLifecyclePolicyCommand({ repositoryName: 'scanline/byoc' }));
  assert.equal(JSON.parse(lifecyclePolicyText ?? '').rules[0].selection.tagStatus, 'untagged');
});

test('the same image pushed again has the same digest', settings, async () => {
  const { stdout, stderr } = await push();
  assert.equal(stdout.trim(), uri);
  assert.match(stderr, /the repository scanline\/byoc is there/);
});

test('what is pulled back by the digest runs', settings, async () => {
  const { token } = await ecrCredentials('eu-central-1');
  const credentials = Buffer.from(token, 'base64').toString();
  if (tool === 'podman') ask('pull', '--quiet', '--tls-verify=false', '--creds', credentials, uri);
  try {
    assert.match(ask('run', '--rm', '--network', 'none', uri, 'node', '--version'), /^v\d+\./);
  } finally {
    ask('rmi', uri);
  }
});

test('the manifest is of the type that SageMaker takes', settings, async () => {
  const { token } = await ecrCredentials('eu-central-1');
  const [host, path = ''] = uri.split(/\/(.*)/s);
  const response = await fetch(`http://${host}/v2/${path.replace('@', '/manifests/')}`, {
    headers: { authorization: `Basic ${token}`, accept: MANIFEST },
  });
  const { mediaType } = (await response.json()) as { mediaType: string };
  assert.equal(mediaType, MANIFEST);
});

test('a tag that an image has is refused, and an image that is there is not pushed again', settings, async () => {
  const client = new ECRClient({ region: 'eu-central-1' });
  const put = (imageTag: string) =>
    client.send(
      new PutImageCommand({
        repositoryName: 'scanline/byoc',
        imageTag,
        imageManifest: JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, imageTag }),
      }),
    );
  await put('v1');
  const refused = await push('--tag', 'v1');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /the tag v1 of .* is taken, by sha256:[\s\S]*Fix: give a new --tag/);
  const { image } = await put(imageId(tool, IMAGE)?.slice(0, 12) ?? '');
  const { stdout, stderr } = await push();
  assert.match(stderr, /has this image already/);
  assert.equal(stdout.trim(), `${registry}/scanline/byoc@${image?.imageId?.imageDigest}`);
});

test('no password stays on this machine', settings, () => {
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith('scanline-login-')),
    [],
  );
  const file = join(homedir(), '.docker', 'config.json');
  assert.ok(!existsSync(file) || !JSON.stringify(require(file)).includes(registry));
});

test('a push that is interrupted leaves no password either', settings, async () => {
  const target = ['--region', 'eu-central-1', '--registry', registry, '--no-tls-verify', '--repository', 'interrupted'];
  const { child, ended } = start('bin/scanline.js', ['image', 'push', IMAGE, ...target]);
  const logins = () => readdirSync(tmpdir()).filter((name) => name.startsWith('scanline-login-'));
  await eventually(() => logins().length > 0, 60);
  child.kill('SIGINT');
  assert.equal((await ended).signal, 'SIGINT');
  assert.deepEqual(logins(), []);
});

test('an image that is not there is refused, with what to do', settings, async () => {
  const { status, stderr } = await start('bin/scanline.js', ['image', 'push', 'no-such:1', '--region', 'eu-central-1'])
    .ended;
  assert.equal(status, 1);
  assert.match(stderr, /has no image no-such:1[\s\S]*Fix: build it first/);
});
