// Safetensors: what is written is read again, here and by the reference implementation; damaged files are refused by name.
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Values } from '../../../../training/compiler/runtime';
import { readSafetensors, writeSafetensors } from '../../../../training/engine/weights/safetensors';
import { UserError } from '../../../../training/errors';
import { askOracle, withoutOracle } from '../../oracle';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();
const tensors = new Map<string, Values>([
  ['matrix', { shape: [2, 3], data: Float32Array.of(0, -1.5, 3e38, 1e-45, Number.NaN, Number.NEGATIVE_INFINITY) }],
  ['scalar', { shape: [], data: BigInt64Array.of(-(2n ** 60n)) }],
  ['empty', { shape: [0, 4], data: new Float32Array(0) }],
  ['größe', { shape: [2], data: Int32Array.of(-7, 2 ** 31 - 1) }],
  // a view that does not begin where its memory does
  ['view', { shape: [2], data: new Float32Array(4).fill(9).subarray(1, 3) }],
]);

async function written(name: string, values: ReadonlyMap<string, Values> = tensors): Promise<string> {
  const path = join(folder, name);
  await writeSafetensors(path, values);
  return path;
}

/** A file of a header and values. */
function handMade(name: string, header: string, bytes = 0): string {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  writeFileSync(join(folder, name), Buffer.concat([length, Buffer.from(header), Buffer.alloc(bytes)]));
  return join(folder, name);
}

const refused = (path: string, message: RegExp) =>
  assert.rejects(readSafetensors(path), (error: Error) => {
    assert.ok(error instanceof UserError, error.stack);
    assert.ok(error.message.includes(path), error.message);
    assert.match(error.message, message);
    return true;
  });

test('what is written is read again, value by value', async () => {
  assert.deepEqual(await readSafetensors(await written('all.safetensors')), tensors);
});

test('values are aligned to 8 bytes, as the format asks', async () => {
  const bytes = readFileSync(await written('aligned.safetensors'));
  assert.equal(bytes.readBigUInt64LE() % 8n, 0n);
});

test('the reference implementation reads the same', { skip: withoutOracle }, async () => {
  const read = `
import json, sys
from safetensors.numpy import load_file
print(json.dumps({name: [str(value.dtype), list(value.shape), [str(v) for v in value.flatten().tolist()]] for name, value in load_file(sys.argv[1]).items()}))`;
  const plain = new Map([...tensors].filter(([name]) => name !== 'matrix'));
  assert.deepEqual(askOracle(read, await written('reference.safetensors', plain)), {
    scalar: ['int64', [], ['-1152921504606846976']],
    empty: ['float32', [0, 4], []],
    größe: ['int32', [2], ['-7', '2147483647']],
    view: ['float32', [2], ['9.0', '9.0']],
  });
});

test('what PyTorch wrote as float16, bfloat16 and float64 is read as float32', { skip: withoutOracle }, async () => {
  const path = join(folder, 'widths.safetensors');
  const write = `
import json, sys, torch
from safetensors.torch import save_file
values = torch.tensor([0.0, -0.0, 1.0, -2.5, 6.1e-5, 5.96e-8, 65504.0, 3.14159, float("inf"), float("-inf")], dtype=torch.float64)
tensors = {"half": values.half(), "brain": values.bfloat16(), "double": values}
save_file(tensors, sys.argv[1])
print(json.dumps({name: [str(v) for v in value.float().tolist()] for name, value in tensors.items()}))`;
  const expected = askOracle<Record<string, string[]>>(write, path);
  const read = await readSafetensors(path);
  for (const [name, numbers] of Object.entries(expected)) {
    const parsed = numbers.map((text) => Number(text.replace('inf', 'Infinity')));
    assert.deepEqual(Array.from(read.get(name)?.data as Float32Array), parsed, name);
  }
});

test('a file that was cut off is refused, wherever the cut is', async () => {
  const path = await written('cut.safetensors');
  for (const length of [readFileSync(path).length - 1, 100, 4, 0]) {
    truncateSync(path, length);
    await refused(path, /ends before its contents do/);
  }
});

test('a file of another kind is refused', async () => {
  const path = join(folder, 'image.png');
  writeFileSync(path, Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
  await refused(path, /is not a safetensors file/);
  await refused(handMade('text.safetensors', 'no JSON at all'), /its header is not JSON of tensors/);
});

test('a type that is not read, and a length that does not fit the shape, are refused by the name of the tensor', async () => {
  const entry = (dtype: string, shape: number[], end: number) =>
    JSON.stringify({ weight: { dtype, shape, data_offsets: [0, end] } });
  await refused(handMade('half.safetensors', entry('U8', [2], 2), 2), /weight is U8 \[2\]/);
  await refused(handMade('length.safetensors', entry('F32', [3], 8), 8), /weight is F32 \[3\] in 8 bytes/);
});

test('a header whose entries are no tensors is refused', async () => {
  await refused(handMade('entry.safetensors', '{"weight": 3}'), /is not a safetensors file/);
  await refused(handMade('null.safetensors', 'null'), /is not a safetensors file/);
});
