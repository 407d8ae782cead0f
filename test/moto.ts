// AWS as moto plays it, where `npm run oracle` has installed it: a real server that real clients speak to.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { packageRoot } from '../training/native/cache';

const SERVER = join(packageRoot, '.oracle', 'bin', 'moto_server');

export const skipMoto = existsSync(SERVER) ? false : 'moto is not installed: `npm run oracle` does it';

/** What clients need in their environment, beside the address. */
export const MOTO_CREDENTIALS = {
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

async function answers(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`moto ended with ${server.exitCode}`);
    const response = await fetch(`${url}/moto-api/data.json`).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

/** Starts a server that ends with the test. @returns its address */
export async function startMoto(context: TestContext, environment: Record<string, string> = {}): Promise<string> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(SERVER, ['-H', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
    env: { ...process.env, ...MOTO_CREDENTIALS, ...environment },
  });
  context.after(async () => {
    server.kill();
    await new Promise((done) => server.once('exit', done));
  });
  await answers(url, server);
  return url;
}
