// The pictures of a report: whole SVGs that have the numbers and names that they were given.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { confusionMatrix, curves, definitionGraph, timings } from '../../../lib/operations/charts';

/** The texts of a picture. */
const textsOf = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => (text as string).replaceAll('&#45;', '-'));

/** A renderer of SVG takes it, and there is something to see. */
async function assertDrawn(svg: string): Promise<void> {
  assert.match(svg, /^<svg /);
  const { channels } = await sharp(Buffer.from(svg)).flatten({ background: '#fff' }).stats();
  assert.ok(channels.some(({ stdev }) => stdev > 1));
  assert.doesNotMatch(svg, /NaN|undefined/);
}

test('curves have a title, a name each, and as many points as were given', async () => {
  const points = [
    [1, 0.9],
    [2, 0.5],
    [3, 0.25],
  ] as const;
  const svg = curves('Loss', [
    { name: 'train loss', points },
    { name: 'valid loss', points: points.slice(1) },
  ]);
  await assertDrawn(svg);
  for (const text of ['Loss', 'epoch', 'train loss', 'valid loss']) assert.ok(textsOf(svg).includes(text), text);
  const marks = (series: number) =>
    [...svg.matchAll(/ecmeta_series_index="(\d)" ecmeta_data_index="\d" ecmeta_ssr_type="chart"/g)].filter(
      ([, index]) => Number(index) === series,
    ).length;
  assert.deepEqual([marks(0), marks(1)], [3, 2]);
});

test('curves without points are drawn', async () => {
  await assertDrawn(curves('Loss', [{ name: 'train loss', points: [] }]));
});

test('a confusion matrix has the classes on both axes, and each count', async () => {
  const counts = [
    [17, 2, 0],
    [1, 23, 4],
    [5, 6, 31],
  ];
  const svg = confusionMatrix(['axial', 'coronal', 'sagittal'], counts);
  await assertDrawn(svg);
  const texts = textsOf(svg);
  for (const name of ['axial', 'coronal', 'sagittal']) assert.equal(texts.filter((text) => text === name).length, 2);
  assert.deepEqual(
    texts
      .filter((text) => /^\d+$/.test(text))
      .map(Number)
      .sort((a, b) => a - b),
    counts.flat().sort((a, b) => a - b),
  );
});

test('timings have each step with its seconds', async () => {
  const svg = timings([
    { name: 'Split', start: 0, seconds: 0.25 },
    { name: 'Train', start: 0.25, seconds: 12.34 },
  ]);
  await assertDrawn(svg);
  for (const text of ['Split', 'Train', '0.3 s', '12.3 s']) assert.ok(textsOf(svg).includes(text), text);
});

const STEPS = [
  { Name: 'Split', Type: 'Processing' },
  { Name: 'Train', Type: 'Training', DependsOn: ['Split'] },
  {
    Name: 'Gate',
    Type: 'Condition',
    Arguments: {
      Conditions: [{ Type: 'Equals', LeftValue: { Get: 'Steps.Train.TrainingJobStatus' }, RightValue: 'Completed' }],
      IfSteps: [{ Name: 'Register', Type: 'RegisterModel' }],
      ElseSteps: [{ Name: 'Stop', Type: 'Fail' }],
    },
  },
];

test('the graph has each step, those in branches too, and an edge for each dependency', async () => {
  const svg = await definitionGraph(STEPS, new Map());
  await assertDrawn(svg);
  const titles = [...svg.matchAll(/<title>([^<]*)<\/title>/g)].map(([, title]) => title as string);
  for (const name of ['Split', 'Train', 'Gate', 'Register', 'Stop']) assert.ok(titles.includes(name), name);
  assert.deepEqual(titles.filter((title) => title.includes('&gt;')).sort(), [
    'Gate&#45;&gt;Register',
    'Gate&#45;&gt;Stop',
    'Split&#45;&gt;Train',
    'Train&#45;&gt;Gate',
  ]);
});

test('the graph tells the branches apart', async () => {
  const svg = await definitionGraph(STEPS, new Map());
  assert.match(svg, /Gate&#45;&gt;Register[\s\S]*?>yes</);
  assert.match(svg, /Gate&#45;&gt;Stop[\s\S]*?>no</);
});

test('the graph is coloured by how the steps went', async () => {
  const svg = await definitionGraph(
    STEPS,
    new Map([
      ['Split', 'Succeeded'],
      ['Train', 'Failed'],
    ]),
  );
  const fill = (name: string) => new RegExp(`<title>${name}</title>\\s*<\\w+ fill="([^"]+)"`).exec(svg)?.[1];
  assert.deepEqual([fill('Split'), fill('Train'), fill('Gate')], ['#d5f0e3', '#f8d7da', '#f1f3f5']);
});
