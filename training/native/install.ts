// Fetches TensorFlow's shared library: the wheel from PyPI (or the user's mirror), its hash checked, only what is needed unpacked.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import { UserError } from '../errors';
import { cacheFolder, type Flavour, packageRoot } from './cache';

/** Bytes that the unpacked libraries take, the wheels included while they are unpacked. */
const SPACE_NEEDED: Record<Flavour, number> = { cpu: 1.5e9, gpu: 8e9 };

/** The folders of a wheel that hold what is linked, loaded or compiled against; licences always come along. */
const NEEDED = [
  /^tensorflow\/libtensorflow_(cc|framework)\.so\.2$/,
  /^tensorflow\/include\/(tensorflow\/c|xla\/tsl\/c|tensorflow\/core\/common_runtime\/next_pluggable_device\/c)\/.*\.h$/,
  /^tensorflow\/include\/(tensorflow\/core|tsl)\/platform\/(ctstring(_internal)?|platform)\.h$/,
  /^nvidia\/[^/]+\/lib\/[^/]+\.so[.\d]*$/,
  /(^|\/)(LICENSE|License|THIRD_PARTY_NOTICES)(\.txt)?$/,
];

export type Report = (line: string) => void;

function requirements(flavour: Flavour): string {
  return join(packageRoot, 'training', 'native', `requirements-${flavour}.txt`);
}

/** The TensorFlow release that is pinned, e.g. 2.21.0. */
export function tensorflowVersion(flavour: Flavour): string {
  const pinned = /^tensorflow(?:-cpu)?==(\S+)/m.exec(readFileSync(requirements(flavour), 'utf8'))?.[1];
  if (pinned === undefined) throw new Error(`no TensorFlow is pinned in ${requirements(flavour)}`);
  return pinned;
}

/** The folder that holds (or will hold) the unpacked wheels, laid out as Python's site-packages; named after all that decides its contents. */
export function tensorflowFolder(flavour: Flavour): string {
  const contents = createHash('sha256')
    .update(readFileSync(requirements(flavour)))
    .update(NEEDED.join());
  return join(
    cacheFolder(),
    `tensorflow-${tensorflowVersion(flavour)}-${flavour}-${contents.digest('hex').slice(0, 8)}`,
  );
}

export function isInstalled(flavour: Flavour): boolean {
  return existsSync(join(tensorflowFolder(flavour), 'complete'));
}

function requirePip(): void {
  const pip = spawnSync('python3', ['-m', 'pip', '--version'], { encoding: 'utf8' });
  if (pip.status === 0) return;
  throw new UserError(
    pip.error ? 'python3 was not found; it is needed once, to fetch TensorFlow.' : 'python3 has no pip.',
    'install both, e.g. `sudo apt-get install python3-pip` (Debian, Ubuntu) or `sudo dnf install python3-pip`.',
  );
}

function requireSpace(flavour: Flavour): void {
  const { bavail, bsize } = statfsSync(cacheFolder());
  const [free, needed] = [bavail * bsize, SPACE_NEEDED[flavour]].map((bytes) => bytes / 1e9) as [number, number];
  if (free >= needed) return;
  throw new UserError(
    `${cacheFolder()} has ${free.toFixed(1)} GB free; unpacking TensorFlow (${flavour}) takes ${needed} GB.`,
    'free some space there, or set SCANLINE_CACHE to a folder on a larger disk.',
  );
}

function download(flavour: Flavour, folder: string): void {
  const platforms = ['manylinux_2_27', 'manylinux_2_17', 'manylinux2014'].flatMap((tag) => [
    '--platform',
    `${tag}_x86_64`,
  ]);
  const live = process.stderr.isTTY === true;
  const result = spawnSync(
    'python3',
    [
      ...[
        '-m',
        'pip',
        'download',
        '--disable-pip-version-check',
        '--no-deps',
        '--require-hashes',
        ...(live ? [] : ['--quiet']),
      ],
      ...['--only-binary=:all:', '--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312', ...platforms],
      ...['--requirement', requirements(flavour), '--dest', folder],
    ],
    { encoding: 'utf8', stdio: ['ignore', live ? 2 : 'ignore', 'pipe'] },
  );
  if (result.status === 0) return;
  const mismatch = /DO NOT MATCH THE HASHES/.test(result.stderr);
  throw new UserError(
    `pip could not fetch TensorFlow ${tensorflowVersion(flavour)}:\n${result.stderr.trim().split('\n').slice(-12).join('\n')}`,
    mismatch
      ? 'the file that came is not the one that was published; do not use it, and ask who runs your package mirror.'
      : 'check the network; behind a mirror or proxy, configure pip (`pip config set global.index-url URL`, HTTPS_PROXY).',
  );
}

async function unpack(wheel: string, folder: string): Promise<void> {
  const zip = await yauzl.openPromise(wheel, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    if (!NEEDED.some((pattern) => pattern.test(entry.fileName))) continue;
    const target = join(folder, entry.fileName);
    mkdirSync(dirname(target), { recursive: true });
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { mode: 0o755 }));
  }
}

/** Drops the symbols that are not needed to load the library (a third of its size), where binutils are there. */
function strip(folder: string): void {
  for (const library of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) {
    spawnSync('strip', ['--strip-unneeded', join(folder, 'tensorflow', library)]);
  }
}

/**
 * Brings TensorFlow into the cache unless it is there. Another process may do the same meanwhile: the folder appears whole or not
 * at all, and the second to finish leaves the first one's.
 *
 * @throws UserError when pip, the network or the disk does not allow it
 */
export async function installTensorflow(flavour: Flavour, report: Report): Promise<void> {
  if (isInstalled(flavour)) return;
  requirePip();
  mkdirSync(cacheFolder(), { recursive: true });
  requireSpace(flavour);
  const work = await mkdtemp(join(cacheFolder(), 'unpacking-'));
  try {
    const wheels = join(work, 'wheels');
    const site = join(work, 'site');
    report(`fetching TensorFlow ${tensorflowVersion(flavour)} (${flavour === 'gpu' ? '3 GB' : '274 MB'}) with pip`);
    download(flavour, wheels);
    for (const wheel of await readdir(wheels)) {
      report(`unpacking ${wheel.split('-').slice(0, 2).join(' ')}`);
      await unpack(join(wheels, wheel), site);
    }
    strip(site);
    await writeFile(join(site, 'complete'), '');
    try {
      renameSync(site, tensorflowFolder(flavour));
    } catch (error) {
      if (!isInstalled(flavour)) throw error;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
