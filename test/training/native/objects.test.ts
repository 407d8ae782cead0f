// C++ files are compiled once, and again when they or their headers change.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { CompilerError, compileObjects } from '../../../training/native/objects';
import { temporaryFolder } from '../temporary-folder';

let folder: string;
let sources: string[];
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const compile = (flags: readonly string[] = []) => compileObjects(sources, flags, join(folder, 'objects'));

beforeEach(() => {
  folder = temporaryFolder();
  write('constant.h', 'const int kConstant = 1;\n');
  mkdirSync(join(folder, 'loops'));
  write('loops/loops.h', '#include "../constant.h"\n');
  write('first.cc', '#define LOOPS "loops/loops.h"\n#include LOOPS\nint First() { return kConstant; }\n');
  write('second.cc', 'int Second() { return 2; }\n');
  sources = ['first.cc', 'second.cc'].map((name) => join(folder, name));
});

test('what has not changed is not compiled again', async () => {
  const objects = await compile();
  const written = () => objects.map((object) => statSync(object).ino);
  const before = written();
  assert.deepEqual(await compile(), objects);
  assert.deepEqual(written(), before);
  assert.equal(readdirSync(join(folder, 'objects')).length, 2);
});

test('there is an object file for each source, in their order', async () => {
  const objects = await compile();
  assert.deepEqual(
    objects.map((object) => /First|Second/.exec(readFileSync(object, 'latin1'))?.[0]),
    ['First', 'Second'],
  );
});

test('a header that others include makes those anew that reach it, and no others', async () => {
  const [first, second] = await compile();
  write('constant.h', 'const int kConstant = 3;\n');
  const [after, same] = await compile();
  assert.notEqual(after, first);
  assert.equal(same, second);
});

test('other flags make other object files', async () => {
  const objects = await compile();
  for (const object of await compile(['-O1'])) assert.ok(!objects.includes(object));
});

test('an error of the compiler is told once all has ended, and leaves nothing half written', async () => {
  // still being compiled when the other one fails
  write('first.cc', '#include <regex>\nint First() { return std::regex_match("a", std::regex("a")); }\n');
  write('second.cc', 'int Second() { return two; }\n');
  write('third.cc', 'int Third() { return 3; }\n');
  sources.push(join(folder, 'third.cc'));
  await assert.rejects(
    compile(),
    (error) => error instanceof CompilerError && /two.* was not declared/.test(error.message),
  );
  const left = readdirSync(join(folder, 'objects'));
  assert.ok(left.length === 1 && left[0]?.endsWith('.o'), `left: ${left}`);
  write('second.cc', 'int Second() { return 2; }\n');
  for (const object of await compile()) assert.ok(statSync(object).size > 0);
});
