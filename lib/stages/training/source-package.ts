// Packs the source of a script-mode job as sourcedir.tar.gz: the same bytes for the same files, and no credentials.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { IgnoreStrategy } from 'aws-cdk-lib';
import { create } from 'tar';
import type { Finding } from '../../pipeline';
import { refusal } from '../checks/checks';
import { credentialFile, credentialsIn } from './credentials';

export interface SourceProps {
  /** The file that the job runs, below `sourceDir`, e.g. train.py; a .ts or .js file is bundled, and runs on our own image. */
  readonly entryPoint: string;
  /** The folder that is packed; a relative one from where the app runs. */
  readonly sourceDir: string;
  /** A requirements file of pip, packed as requirements.txt. @default requirements.txt of the folder, where there is one */
  readonly requirements?: string;
  /** More that is left out, in the form of .gitignore. @default none */
  readonly ignore?: readonly string[];
}

/** A file of a package. */
export interface PackedFile {
  /** Where it lies in the package. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface SourceFiles {
  /** Where each file of the package lies on this machine, by its name there, sorted. */
  readonly files: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
}

/** The ignore file; where there is none, .gitignore stands in. */
const IGNORE_FILES = ['.sagemakerignore', '.gitignore'];

const NEVER_PACKED = [
  '.git/',
  '.venv/',
  '.ipynb_checkpoints/',
  '__pycache__/',
  '*.pyc',
  'node_modules/',
  'cdk.out/',
  '.DS_Store',
  ...IGNORE_FILES,
];

const byName = (left: string, right: string) => (left < right ? -1 : left > right ? 1 : 0);

/** The files below a folder that no pattern leaves out; links that lead out of it are findings. */
function listFiles(root: string, ignore: readonly string[], onLink: (name: string) => void): Map<string, string> {
  const rulesFile = IGNORE_FILES.map((name) => join(root, name)).find(existsSync);
  const rules = rulesFile === undefined ? [] : readFileSync(rulesFile, 'utf8').split(/\r?\n/);
  const strategy = IgnoreStrategy.git(root, [...NEVER_PACKED, ...rules, ...ignore]);
  const found = new Map<string, string>();
  const inside = (path: string) => `${realpathSync(path)}${sep}`.startsWith(`${realpathSync(root)}${sep}`);
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const name = relative(root, path).split(sep).join('/');
      if (entry.isDirectory()) {
        if (!strategy.completelyIgnores(path)) visit(path);
      } else if (!strategy.ignores(path)) {
        if (entry.isFile()) found.set(name, path);
        else if (entry.isSymbolicLink() && existsSync(path) && statSync(path).isFile() && inside(path))
          found.set(name, path);
        else onLink(name);
      }
    }
  };
  visit(root);
  return found;
}

/** What in a file may not leave this machine. */
function checkFile(where: string, name: string, path: string): Finding[] {
  const fix = `remove it, or name the file in .sagemakerignore, and let the job read it from Secrets Manager`;
  const refuse = (place: string, kind: string) =>
    refusal(where, 'sourceDir', `a folder with ${kind} in ${place}`, 'no credentials', fix);
  const kind = credentialFile(basename(name));
  if (kind !== undefined) return [refuse(`${name}:1`, kind)];
  const content = readFileSync(path);
  // what has a zero byte is no text
  if (content.includes(0)) return [];
  return credentialsIn(content.toString('latin1')).map(({ kind: found, line }) => refuse(`${name}:${line}`, found));
}

/** What would be packed, and all that is wrong with it. */
export function findSource(where: string, props: SourceProps): SourceFiles {
  const { entryPoint, requirements } = props;
  const root = resolve(props.sourceDir);
  const findings: Finding[] = [];
  const refuse = (...details: [string, unknown, string, string]) => findings.push(refusal(where, ...details));
  if (!existsSync(root) || !statSync(root).isDirectory()) {
    refuse(
      'sourceDir',
      `'${props.sourceDir}', which is no folder`,
      'a folder with the source',
      `make ${root}, or give another`,
    );
    return { files: new Map(), findings };
  }
  const found = listFiles(root, props.ignore ?? [], (name) => {
    const fix = 'put the file itself there, or name it in .sagemakerignore';
    refuse('sourceDir', `a folder with ${name}, which is no file in it`, 'files, and links to files inside', fix);
  });
  if (!found.has(entryPoint)) {
    const scripts = [...found.keys()].filter((name) => /\.(?:py|sh|[cm]?[jt]s)$/.test(name)).sort(byName);
    const allowed = `a file that is packed from ${props.sourceDir}: ${scripts.join(', ') || 'there is no .py, .sh, .ts or .js'}`;
    refuse('entryPoint', `'${entryPoint}'`, allowed, 'name one of these, and see that no ignore file leaves it out');
  }
  if (requirements !== undefined) {
    const path = [join(root, requirements), resolve(requirements)].find((file) => existsSync(file));
    if (path !== undefined) found.set('requirements.txt', path);
    else refuse('requirements', `'${requirements}', which does not exist`, 'a requirements file of pip', 'name one');
  }
  const files = new Map([...found].sort(([left], [right]) => byName(left, right)));
  for (const [name, path] of files) findings.push(...checkFile(where, name, path));
  return { files, findings };
}

/** A package on this machine, until it is removed. */
export interface Packed {
  readonly path: string;
  readonly files: readonly PackedFile[];
  remove(): void;
}

/**
 * Writes sourcedir.tar.gz: files sorted, times and owners left out, modes 755 where executable and else 644.
 *
 * @param made contents of files that do not lie on this machine, by their names in the package
 */
export function packSource(
  files: ReadonlyMap<string, string>,
  made: ReadonlyMap<string, Uint8Array> = new Map(),
): Packed {
  const work = mkdtempSync(join(tmpdir(), 'scanline-source-'));
  const stage = join(work, 'source');
  const path = join(work, 'sourcedir.tar.gz');
  const place = (name: string) => {
    const to = join(stage, name);
    mkdirSync(dirname(to), { recursive: true });
    return to;
  };
  const written = [...made].map(([name, content]): PackedFile => {
    writeFileSync(place(name), content, { mode: 0o644 });
    return { name, size: content.length };
  });
  const copied = [...files].map(([name, from]): PackedFile => {
    const to = place(name);
    copyFileSync(from, to);
    const { mode, size } = statSync(from);
    chmodSync(to, mode & 0o100 ? 0o755 : 0o644);
    return { name, size };
  });
  const packed = [...written, ...copied].sort((left, right) => byName(left.name, right.name));
  const options = { cwd: stage, file: path, gzip: { level: 9 }, portable: true, noMtime: true, sync: true } as const;
  // a name that begins with @ would be taken for an archive
  create(
    options,
    packed.map(({ name }) => `./${name}`),
  );
  rmSync(stage, { recursive: true });
  return { path, files: packed, remove: () => rmSync(work, { recursive: true, force: true }) };
}
