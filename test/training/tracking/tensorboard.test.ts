// What is written for TensorBoard, read back by TensorBoard itself.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { contactSheet, toRgb } from '../../../training/tracking/pictures';
import { TensorBoard } from '../../../training/tracking/tensorboard';
import { askOracle, withoutOracle } from '../oracle';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();

const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0}).Reload()
tags = events.Tags()
print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "images": {tag: [[e.step, e.width, e.height, e.encoded_image_string.hex()] for e in events.Images(tag)] for tag in tags["images"]},
    "graph": [node.op for node in events.Graph().node] if tags["graph"] else [],
}))`;

interface Read {
  readonly scalars: Record<string, [number, number][]>;
  readonly images: Record<string, [number, number, number, string][]>;
  readonly graph: string[];
}

test('scalars of many steps, images and the graph are what TensorBoard reads', { skip: withoutOracle }, async () => {
  const logs = join(folder, 'logs');
  const board = new TensorBoard(logs);
  for (let step = 1; step <= 200; step++) board.scalars(step, { loss: 1 / step, absent: undefined });
  board.scalars(2 ** 33, { loss: -1e-30 });
  const sheet = await contactSheet({ values: [0, 1, 2, 3, 4, 5], count: 1, height: 2, width: 3, channels: 1 });
  board.image(7, 'train/images', sheet);
  const runtime = new CompiledRuntime({ threads: 1 });
  runtime.program({ x: { dtype: 'float32', shape: [-1] } }, ({ x }) => ({ y: x.tanh() }));
  board.graph(runtime.graphDefinition());
  runtime.dispose();
  board.flush();
  const { scalars, images, graph } = askOracle<Read>(READ, logs);
  assert.deepEqual(Object.keys(scalars), ['loss']);
  const expected = Array.from({ length: 200 }, (_, i) => [i + 1, Math.fround(1 / (i + 1))]);
  assert.deepEqual(scalars.loss, [...expected, [2 ** 33, Math.fround(-1e-30)]]);
  assert.deepEqual(images['train/images'], [[7, 3, 2, Buffer.from(sheet.encoded).toString('hex')]]);
  assert.ok(graph.includes('Tanh') && graph.includes('Placeholder'), `${graph}`);
});

test('two writers of one folder write two files', { skip: withoutOracle }, () => {
  const logs = join(folder, 'two');
  for (const step of [1, 2]) {
    const board = new TensorBoard(logs);
    board.scalars(step, { loss: step });
    board.flush();
  }
  const read = `import json, os, sys\nprint(json.dumps(sorted(os.listdir(sys.argv[1])).__len__()))`;
  assert.equal(askOracle(read, logs), 2);
});

test('a sheet holds the images row by row, each over its own range', async () => {
  const values = [...[0, 1, 2, 3], ...[10, 10, 10, 20], ...[5, 5, 5, 5]];
  const { encoded, width, height } = await contactSheet({ values, count: 3, height: 2, width: 2, channels: 1 });
  assert.deepEqual([width, height], [4, 4]);
  const pixels = await sharp(encoded).extractChannel(0).raw().toBuffer();
  assert.deepEqual([...pixels], [0, 85, 0, 0, 170, 255, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('labels are drawn over the image in their colours, the background is not', () => {
  const pictures = { values: [0, 0, 100], count: 1, height: 1, width: 3, channels: 1, labels: [0, 1, 2] };
  assert.deepEqual([...toRgb(pictures, 0)], [0, 0, 0, 104, 72, 0, 179, 221, 245]);
});
