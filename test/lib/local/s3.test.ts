// S3 as a folder: objects and prefixes go in and out, and nothing outside is reached.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FolderS3 } from '../../../lib/local/s3';
import { temporaryFolder } from '../../training/temporary-folder';

test('a URI is a path below the folder', () => {
  const root = temporaryFolder();
  assert.equal(new FolderS3(root).path('s3://bucket/a/b.txt'), join(root, 'bucket', 'a', 'b.txt'));
  assert.equal(new FolderS3(root).path('s3://bucket'), join(root, 'bucket'));
});

for (const uri of ['s3://bucket/../other/x', 's3://bucket/../../etc/passwd', 's3://bucket/a/..', 's3://bucket/./a']) {
  test(`${uri} is refused`, () => {
    assert.throws(() => new FolderS3(temporaryFolder()).path(uri), {
      type: 'ValidationException',
      message: /has \. or \.\./,
    });
  });
}

for (const uri of ['s3://../x', 's3:///x', '/etc/passwd', 'file:///etc/passwd', 'https://bucket/x', '']) {
  test(`'${uri}' is no S3 URI`, () => {
    assert.throws(() => new FolderS3(temporaryFolder()).path(uri), {
      type: 'ValidationException',
      message: /not an S3 URI/,
    });
  });
}

test('a key with dots in a name is a name', () => {
  const root = temporaryFolder();
  assert.equal(new FolderS3(root).path('s3://bucket/a..b/.c'), join(root, 'bucket', 'a..b', '.c'));
});

test('a folder that was uploaded is downloaded as it was', () => {
  const [s3, source, target] = [new FolderS3(temporaryFolder()), temporaryFolder(), temporaryFolder()];
  mkdirSync(join(source, 'inner'));
  writeFileSync(join(source, 'inner', 'file'), 'content');
  s3.upload(source, 's3://bucket/prefix');
  s3.download('s3://bucket/prefix', target);
  assert.equal(readFileSync(join(target, 'inner', 'file'), 'utf8'), 'content');
});

test('an object is downloaded into the folder, under its name', () => {
  const [s3, source, target] = [new FolderS3(temporaryFolder()), temporaryFolder(), temporaryFolder()];
  writeFileSync(join(source, 'model.tar.gz'), 'content');
  s3.upload(join(source, 'model.tar.gz'), 's3://bucket/run/model.tar.gz');
  s3.download('s3://bucket/run/model.tar.gz', join(target, 'model'));
  assert.equal(readFileSync(join(target, 'model', 'model.tar.gz'), 'utf8'), 'content');
});

test('what is not there cannot be downloaded', () => {
  assert.throws(
    () => new FolderS3(temporaryFolder()).download('s3://bucket/gone', temporaryFolder()),
    /nothing at s3:\/\/bucket\/gone/,
  );
});
