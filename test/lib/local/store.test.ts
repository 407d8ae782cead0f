// Resources on disk: what one control plane wrote, the next one reads, in the order in which it was made.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Collection } from '../../../lib/local/store';
import { temporaryFolder } from '../../training/temporary-folder';

test('values come back as they were, times among them', () => {
  const folder = temporaryFolder();
  const value = { time: new Date(1234567890123), list: [{ inner: new Date(0) }], text: '2020-01-01T00:00:00.000Z' };
  new Collection(folder).put('arn:aws:a/b c', value);
  assert.deepEqual(new Collection(folder).get('arn:aws:a/b c'), value);
});

test('the order is that in which they were made, also after changes and deletions', () => {
  const folder = temporaryFolder();
  const first = new Collection<string>(folder);
  for (const name of ['z', 'y', 'x']) first.put(name, name);
  first.delete('z');
  first.put('b', 'b');
  first.put('y', 'changed');
  first.put('a', 'a');
  assert.deepEqual(first.list(), ['changed', 'x', 'b', 'a']);
  const second = new Collection<string>(folder);
  assert.deepEqual(second.list(), ['changed', 'x', 'b', 'a']);
  second.put('last', 'last');
  assert.deepEqual(new Collection<string>(folder).list(), ['changed', 'x', 'b', 'a', 'last']);
});

test('names longer than a file may have are kept apart', () => {
  const folder = temporaryFolder();
  const names = ['a', 'b'].map((end) => `arn:aws:sagemaker:${'/x'.repeat(200)}${end}`);
  const collection = new Collection(folder);
  for (const name of names) collection.put(name, name);
  assert.deepEqual(new Collection(folder).list(), names);
  collection.delete(names[0] as string);
  assert.deepEqual(new Collection(folder).list(), names.slice(1));
});

test('what is deleted does not come back', () => {
  const folder = temporaryFolder();
  const collection = new Collection(folder);
  collection.put('a', 1);
  collection.delete('a');
  assert.equal(collection.get('a'), undefined);
  assert.equal(new Collection(folder).get('a'), undefined);
});

test('a write that a kill cut short leaves the value before it', () => {
  const folder = temporaryFolder();
  new Collection(folder).put('a', 'whole');
  writeFileSync(join(folder, 'a.json.new'), '{"name": "a", "val');
  assert.equal(new Collection(folder).get('a'), 'whole');
});
