// The source of a script-mode job: what is packed, that the bytes depend on the files alone, and what is refused.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { list } from 'tar';
import { findSource, packSource, type SourceProps } from '../../../../lib/stages/training/source-package';
import { temporaryFolder } from '../../../training/temporary-folder';

function folderOf(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

const find = (sourceDir: string, props: Partial<SourceProps> = {}) =>
  findSource('step Train', { sourceDir, entryPoint: 'train.py', ...props });

const namesIn = (...args: Parameters<typeof find>) => [...find(...args).files.keys()];

function problemsOf(...args: Parameters<typeof find>): string[] {
  return find(...args).findings.map(({ problem }) => problem.replace(/;.*/s, ''));
}

test('all files are packed, sorted; caches, git and ignore files never', () => {
  const sourceDir = folderOf({
    'train.py': '',
    'b/z.py': '',
    'b.py': '',
    'old.pyc': '',
    'a.py': '',
    '.git/config': '',
    '__pycache__/a.pyc': '',
    'b/__pycache__/z.pyc': '',
    '.venv/x': '',
    'node_modules/y': '',
    '.gitignore': '',
  });
  assert.deepEqual(namesIn(sourceDir), ['a.py', 'b.py', 'b/z.py', 'train.py']);
});

test('.sagemakerignore leaves out as .gitignore does, and stands above it', () => {
  const sourceDir = folderOf({
    'train.py': '',
    'data/x.png': '',
    'data/keep.csv': '',
    'b/run.log': '',
    'other.txt': '',
    '.sagemakerignore': '# a comment\ndata/*\n!data/keep.csv\r\n*.log\n',
    '.gitignore': 'other.txt\n',
  });
  assert.deepEqual(namesIn(sourceDir), ['data/keep.csv', 'other.txt', 'train.py']);
  assert.deepEqual(namesIn(sourceDir, { ignore: ['other.*'] }), ['data/keep.csv', 'train.py']);
});

test('.gitignore stands in where there is no .sagemakerignore', () => {
  assert.deepEqual(namesIn(folderOf({ 'train.py': '', 'x.log': '', '.gitignore': '*.log' })), ['train.py']);
});

test('requirements of another name are packed as requirements.txt', () => {
  const sourceDir = folderOf({ 'train.py': '', 'gpu.txt': 'pillow\n' });
  const { files } = find(sourceDir, { requirements: 'gpu.txt' });
  assert.equal(files.get('requirements.txt'), join(sourceDir, 'gpu.txt'));
});

test('the package holds the files, with no times and owners, executable where they are', async () => {
  const sourceDir = folderOf({ 'train.py': 'print(1)\n', 'run.sh': 'exit\n', '@odd': 'x' });
  chmodSync(join(sourceDir, 'run.sh'), 0o700);
  chmodSync(join(sourceDir, 'train.py'), 0o600);
  const packed = packSource(find(sourceDir).files);
  const entries: unknown[] = [];
  await list({
    file: packed.path,
    onReadEntry: ({ path, mode, mtime, uid, uname }) => entries.push([path, mode?.toString(8), mtime, uid, uname]),
  });
  assert.deepEqual(entries, [
    ['./@odd', '644', undefined, undefined, ''],
    ['./run.sh', '755', undefined, undefined, ''],
    ['./train.py', '644', undefined, undefined, ''],
  ]);
  assert.deepEqual(packed.files, [
    { name: '@odd', size: 1 },
    { name: 'run.sh', size: 5 },
    { name: 'train.py', size: 9 },
  ]);
  packed.remove();
});

test('the same files give the same bytes, wherever and whenever they were written', () => {
  const files = { 'train.py': 'print(1)\n', 'b/a.py': 'x', 'a.py': 'y' };
  const one = folderOf(files);
  const other = folderOf(Object.fromEntries(Object.entries(files).reverse()));
  utimesSync(join(other, 'a.py'), 1, 1);
  chmodSync(join(other, 'a.py'), 0o600);
  const [first, second, changed] = [one, other, folderOf({ ...files, 'a.py': 'z' })].map((folder) => {
    const packed = packSource(find(folder).files);
    const bytes = readFileSync(packed.path);
    packed.remove();
    return bytes;
  }) as [Buffer, Buffer, Buffer];
  assert.ok(first.equals(second));
  assert.ok(!first.equals(changed));
});

test('credentials are refused by file and line, not those in ignored or binary files; their values are not told', () => {
  const secret = `AKIA${'Q2'.repeat(8)}`;
  const sourceDir = folderOf({
    'train.py': `import os\n\nKEY = "${secret}"\n`,
    'deep/.env': 'A=1\n',
    'deep/key.pem': `-----BEGIN ${'RSA'} PRIVATE KEY-----\n`,
    'weights.bin': Buffer.from(`\0${secret}`),
    'notes.txt': secret,
    '.sagemakerignore': 'notes.txt\n',
  });
  const { findings } = find(sourceDir);
  assert.deepEqual(problemsOf(sourceDir), [
    'sourceDir is a folder with a file of secrets in deep/.env:1',
    'sourceDir is a folder with a private key in deep/key.pem:1',
    'sourceDir is a folder with an AWS access key id in train.py:3',
  ]);
  assert.ok(!JSON.stringify(findings).includes(secret));
});

test('an entry point that is not packed is refused, with those that are', () => {
  const sourceDir = folderOf({ 'a.py': '', 'b.sh': '', 'c.txt': '', 'main.py': '', '.sagemakerignore': 'main.py' });
  const [finding] = find(sourceDir, { entryPoint: 'main.py' }).findings;
  assert.match(finding?.problem as string, /^entryPoint is 'main.py'; allowed is .*: a\.py, b\.sh\.$/);
});

test('a folder and requirements that do not exist are refused', () => {
  assert.match(problemsOf('/no/such/folder')[0] as string, /^sourceDir is '\/no\/such\/folder', which is no folder/);
  assert.deepEqual(problemsOf(folderOf({ 'train.py': '' }), { requirements: 'r.txt' }), [
    "requirements is 'r.txt', which does not exist",
  ]);
});

test('a link to a file inside is packed as that file; links elsewhere are refused', () => {
  const sourceDir = folderOf({ 'train.py': 'x' });
  symlinkSync('train.py', join(sourceDir, 'also.py'));
  assert.deepEqual(namesIn(sourceDir), ['also.py', 'train.py']);
  symlinkSync('/etc/hostname', join(sourceDir, 'outside'));
  symlinkSync('nowhere', join(sourceDir, 'dangling'));
  assert.deepEqual(problemsOf(sourceDir).sort(), [
    'sourceDir is a folder with dangling, which is no file in it',
    'sourceDir is a folder with outside, which is no file in it',
  ]);
});
