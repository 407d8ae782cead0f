// Prepares a fresh checkout (packages, build, TensorFlow), then does what `npm start` and `npm test` ask for.
// It runs before node_modules exists and must still explain itself on a Node.js that is too old, so: plain old JavaScript.
'use strict';

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { constants } = require('node:os');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');
const MINIMUM_NODE = [20, 19];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const CLI = path.join(ROOT, 'dist', 'bin', 'scanline.js');

function fail(what, fix) {
  process.stderr.write(`\n✗ ${what}\n  Fix: ${fix}\n`);
  process.exit(1);
}

function requireSupportedNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1])) return;
  fail(
    `Node.js ${process.versions.node} is too old: Scanline needs ${MINIMUM_NODE.join('.')} or newer.`,
    'install Node.js 22 or 24 (https://nodejs.org, or `nvm install 22`), then run the command again.',
  );
}

/** Runs a set-up command quietly behind one line with the seconds that it has taken; its output is shown only if it fails. */
function prepare(label, command, args, fixFor) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  const live = process.stderr.isTTY;
  process.stderr.write(live ? `• ${label}` : `• ${label}\n`);
  const ticker = live && setInterval(() => process.stderr.write(`\r• ${label} ${seconds()}`), 1000);
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-20000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => keep(String(error)));
    child.on('close', (code) => {
      if (ticker) clearInterval(ticker);
      process.stderr.write(live ? `\r${code === 0 ? '✓' : '✗'} ${label} ${seconds()}\n` : '');
      if (code === 0) return resolve();
      process.stderr.write(`${output}\n`);
      fail(`${label} failed (exit status ${code}).`, fixFor(output));
    });
  });
}

/** Installs the locked packages unless node_modules already is that very lockfile's. */
async function installPackages() {
  const lock = createHash('sha256')
    .update(fs.readFileSync(path.join(ROOT, 'package-lock.json')))
    .digest('hex');
  const stamp = path.join(ROOT, 'node_modules', '.scanline-lock');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === lock) return;
  await prepare(
    'Installing packages',
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    (output) =>
      /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|network/i.test(output)
        ? 'the npm registry cannot be reached; check the network, or set a mirror with `npm config set registry URL`.'
        : 'read the lines above; `rm -rf node_modules` and running the command again starts from nothing.',
  );
  fs.writeFileSync(stamp, lock);
}

/** Newest change among the files that the build reads, so that an unchanged tree is not compiled again. */
function newestSource() {
  const configuration = path.join(ROOT, 'tsconfig.json');
  const rooms = JSON.parse(fs.readFileSync(configuration, 'utf8')).include;
  let newest = fs.statSync(configuration).mtimeMs;
  const visit = (folder) => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'node_modules') visit(file);
      } else if (entry.name.endsWith('.ts')) newest = Math.max(newest, fs.statSync(file).mtimeMs);
    }
  };
  for (const room of rooms.filter((name) => fs.existsSync(path.join(ROOT, name)))) visit(path.join(ROOT, room));
  return newest;
}

async function build() {
  const stamp = path.join(ROOT, 'dist', '.built');
  if (fs.existsSync(stamp) && fs.statSync(stamp).mtimeMs > newestSource()) return;
  // what a source left behind that has moved would be loaded in place of what it has become: x.js before x/index.js
  fs.rmSync(path.join(ROOT, 'dist'), { recursive: true, force: true });
  const compiler = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  await prepare('Compiling TypeScript', process.execPath, [compiler, '-p', ROOT], () => 'mend the type errors above.');
  fs.writeFileSync(stamp, '');
}

/** Lets `npx scanline` find this checkout's command: npm links the commands of dependencies alone. */
function linkCommand() {
  const link = path.join(ROOT, 'node_modules', '.bin', 'scanline');
  fs.chmodSync(CLI, 0o755);
  fs.rmSync(link, { force: true });
  fs.symlinkSync(path.relative(path.dirname(link), CLI), link);
}

/** Runs a command in the foreground: it gets the signals that this process gets, and its status, if not 0, ends this process too. */
function run(command, args) {
  const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit' });
  // a terminal sends its own to all that run in it, which must not get them twice
  const passOn = (signal) => (process.stdin.isTTY && signal !== 'SIGTERM') || child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, passOn);
  return new Promise((resolve) => {
    child.on('error', (error) => fail(String(error), 'see the message above.'));
    child.on('exit', (code, signal) => {
      for (const name of SIGNALS) process.off(name, passOn);
      if (code === 0) return resolve();
      process.exit(code === null ? 128 + constants.signals[signal] : code);
    });
  });
}

/** The compiled file of a source: what has no source any more is not run. */
function built(source) {
  return path.join(ROOT, 'dist', path.relative(ROOT, source)).replace(/\.ts$/, '.js');
}

function testFiles(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? testFiles(file) : entry.name.endsWith('.test.ts') ? [file] : [];
  });
}

async function main(task, args) {
  requireSupportedNode();
  await installPackages();
  await build();
  linkCommand();
  await run(process.execPath, [CLI, 'setup', '--quiet']);
  if (task === 'start') await run(process.execPath, [CLI, 'run', ...args]);
  if (task === 'test') {
    const biome = path.join(ROOT, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
    await run(process.execPath, [biome, 'ci', ...(process.stdout.isTTY ? [] : ['--colors=off']), ROOT]);
    const files = args.length > 0 ? args : testFiles(path.join(ROOT, 'test')).sort().map(built);
    await run(process.execPath, ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files]);
  }
}

main(process.argv[2], process.argv.slice(3));
