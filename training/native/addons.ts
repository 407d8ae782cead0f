// Builds the Node.js addons that stand on TensorFlow's shared library: one that loads it, tfjs-node's own binding, and Scanline's.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../errors';
import { cacheFolder, type Flavour, packageRoot } from './cache';
import { type Report, tensorflowFolder } from './install';
import { CompilerError, compileObjects, gpp } from './objects';

/** N-API 8 has been stable since Node.js 12.22: one build serves every Node.js that Scanline runs on. */
const NAPI_VERSION = 8;

const COMPILER_FLAGS = [
  ...['-O3', '-std=c++17', '-fPIC', '-pthread', '-fno-math-errno', '-fno-trapping-math', '-fvisibility=hidden'],
  ...['-DNAPI_CPP_EXCEPTIONS', `-DNAPI_VERSION=${NAPI_VERSION}`],
];

interface Addon {
  readonly name: 'loader' | 'tfjs_binding' | 'scanline';
  readonly folders: readonly string[];
  /** Whether it calls TensorFlow, and so is linked to it. */
  readonly linked: boolean;
}

function packageFolder(name: string): string {
  return dirname(require.resolve(`${name}/package.json`, { paths: [packageRoot] }));
}

/** @throws UserError when the package is not installed */
export function tfjsFolder(): string {
  try {
    return packageFolder('@tensorflow/tfjs-node-gpu');
  } catch {
    throw new UserError(
      'the package @tensorflow/tfjs-node-gpu is not installed; training and serving stand on it.',
      'npm install --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0 && npx scanline setup',
    );
  }
}

function addons(): Addon[] {
  const own = join(packageRoot, 'training', 'native');
  return [
    { name: 'loader', folders: [join(own, 'loader')], linked: false },
    { name: 'tfjs_binding', folders: [join(tfjsFolder(), 'binding')], linked: true },
    { name: 'scanline', folders: [join(own, 'addon'), join(own, 'kernels')], linked: true },
  ];
}

/** The C++ files of an addon, those of folders within its own included; its headers too, unless only what is compiled is asked for. */
function filesOf(addon: Addon, extension = /\.(cc|h)$/): string[] {
  return addon.folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => extension.test(file))
      .sort()
      .map((file) => join(folder, file)),
  );
}

/** A folder named after everything that the builds depend on, so that a change of any of it builds anew beside the old. */
function buildFolder(flavour: Flavour): string {
  const hash = createHash('sha256').update(JSON.stringify([tensorflowFolder(flavour), COMPILER_FLAGS]));
  for (const file of addons().flatMap((addon) => filesOf(addon))) hash.update(readFileSync(file));
  return join(cacheFolder(), `addons-${flavour}-${hash.digest('hex').slice(0, 16)}`);
}

export function addonPath(name: Addon['name'], flavour: Flavour): string {
  return join(buildFolder(flavour), `${name}.node`);
}

/** The names of the addons that are not built for this very version of Scanline and TensorFlow. */
export function missingAddons(flavour: Flavour): string[] {
  return addons().flatMap(({ name }) => (existsSync(addonPath(name, flavour)) ? [] : [name]));
}

function requireCompiler(): void {
  if (spawnSync('g++', ['--version']).status === 0) return;
  throw new UserError(
    'no C++ compiler: g++ was not found; it builds the binding to TensorFlow once (a minute).',
    'install it, e.g. `sudo apt-get install g++` (Debian, Ubuntu) or `sudo dnf install gcc-c++`.',
  );
}

async function compile(addon: Addon, flavour: Flavour): Promise<void> {
  const tensorflow = join(tensorflowFolder(flavour), 'tensorflow');
  const target = addonPath(addon.name, flavour);
  const partial = `${target}.${process.pid}`;
  const includes = [
    join(tensorflow, 'include'),
    join(packageFolder('node-api-headers'), 'include'),
    packageFolder('node-addon-api'),
  ];
  const link = [
    `-L${tensorflow}`,
    '-l:libtensorflow_cc.so.2',
    '-l:libtensorflow_framework.so.2',
    `-Wl,-rpath,${tensorflow}`,
  ];
  const flags = [...COMPILER_FLAGS, ...includes.flatMap((folder) => ['-isystem', folder])];
  try {
    const objects = await compileObjects(filesOf(addon, /\.cc$/), flags, join(cacheFolder(), 'objects'));
    await gpp(['-shared', '-pthread', ...objects, ...(addon.linked ? link : ['-ldl']), '-o', partial]);
  } catch (error) {
    if (!(error instanceof CompilerError)) throw error;
    throw new UserError(
      `g++ could not build ${addon.name}:\n${error.message.slice(-4000)}`,
      'g++ 10 or newer is needed; `g++ --version` tells yours.',
    );
  }
  renameSync(partial, target);
}

/** Builds the addons that are not built yet. */
export async function buildAddons(flavour: Flavour, report: Report): Promise<void> {
  const names = missingAddons(flavour);
  const missing = addons().filter(({ name }) => names.includes(name));
  if (missing.length === 0) return;
  requireCompiler();
  report(`building the binding to TensorFlow with g++, which takes a minute`);
  mkdirSync(buildFolder(flavour), { recursive: true });
  // one after the other, for each by itself takes all cores
  for (const addon of missing) await compile(addon, flavour);
}
