// The command lines of containers, without running any; test/containers/executor.ts runs them.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ContainerExecutor, type ContainerSettings } from '../../../../lib/local/jobs/container-executor';
import { findContainerTool } from '../../../../lib/local/jobs/container-tool';
import { temporaryFolder } from '../../../training/temporary-folder';

const REQUEST = {
  image: 'registry.test/a:1',
  command: ['train'],
  environment: { A: '1' },
  base: '/state/opt',
  log: '/state/log',
};

/** Stand-ins for container tools: shell scripts. @returns their folder */
function tools(scripts: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

/** Runs a function with only these programs to be found. */
function withPath<Result>(path: string, body: () => Result): Result {
  const { PATH, SCANLINE_CONTAINER_TOOL } = process.env;
  process.env.PATH = path;
  delete process.env.SCANLINE_CONTAINER_TOOL;
  try {
    return body();
  } finally {
    process.env.PATH = PATH;
    if (SCANLINE_CONTAINER_TOOL !== undefined) process.env.SCANLINE_CONTAINER_TOOL = SCANLINE_CONTAINER_TOOL;
  }
}

const NO_DAEMON = 'echo "Cannot connect to the Docker daemon" >&2; exit 1';

function commandOf(request: object = {}, settings: Partial<ContainerSettings> = {}): string {
  return withPath(tools({ podman: 'exit 0', docker: 'exit 0' }), () =>
    new ContainerExecutor({ tool: 'podman', images: new Map(), ...settings }, '/state')
      .commandOf({ ...REQUEST, ...request }, 'name')
      .join(' '),
  );
}

test('a job has /opt/ml, its environment and no network, and its container is labelled with the state folder', () => {
  assert.equal(
    commandOf(),
    'run --rm --name name --label scanline.state=/state --stop-signal SIGTERM --network none --volume /state/opt:/opt/ml --env A=1 registry.test/a:1 train',
  );
});

test('a server has a port that this machine alone reaches', () => {
  assert.match(commandOf({ port: 4711 }), / --publish 127\.0\.0\.1:4711:8080 /);
  assert.doesNotMatch(commandOf({ port: 4711 }), /--network none/);
});

test('an entry point of several words is the program and the first arguments', () => {
  assert.match(
    commandOf({ entrypoint: ['python3', 'a.py'], command: ['--b'] }),
    /--entrypoint python3 registry\.test\/a:1 a\.py --b$/,
  );
});

test('an image is run by the name that this machine has for it', () => {
  assert.match(
    commandOf({}, { images: new Map([['registry.test/a:1', 'scanline/byoc:cpu']]) }),
    / scanline\/byoc:cpu train$/,
  );
});

test('GPUs and a limit on memory are asked for in the words of the tool', () => {
  assert.match(commandOf({}, { gpu: true, memory: '8g' }), / --device nvidia\.com\/gpu=all --memory 8g /);
  assert.match(commandOf({}, { tool: 'docker', gpu: true }), / --gpus all /);
});

test('a container may be left nothing to write to but /tmp and its mounts', () => {
  assert.match(commandOf({ readOnlyRoot: true }), / --read-only --tmpfs \/tmp --volume /);
  assert.doesNotMatch(commandOf(), /read-only/);
});

test('the first tool that works is taken: a docker whose daemon does not answer is none', () => {
  withPath(tools({ docker: NO_DAEMON, podman: 'exit 0' }), () => {
    assert.equal(findContainerTool('run'), 'podman');
    assert.equal(findContainerTool('build'), 'podman');
  });
  withPath(tools({ docker: 'exit 0', podman: 'exit 0' }), () => assert.equal(findContainerTool('run'), 'docker'));
  withPath(tools({ buildah: 'exit 0', podman: 'exit 0' }), () => assert.equal(findContainerTool('build'), 'buildah'));
});

test('where no tool works, the error says what is wrong with each and how to do without', () => {
  withPath(tools({ docker: NO_DAEMON }), () =>
    assert.throws(
      () => findContainerTool('run'),
      /docker: Cannot connect to the Docker daemon; podman: not installed\.\n {2}Fix: install docker or podman.*--executor process/,
    ),
  );
});

test('a tool that is asked for by name and cannot do the task is refused', () => {
  assert.throws(
    () => findContainerTool('run', 'buildah'),
    /'buildah' is no tool to run images with; allowed are docker, podman/,
  );
});
