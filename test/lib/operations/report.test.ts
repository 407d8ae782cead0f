// The report: one whole page that loads nothing, with the numbers, pictures and predictions that it was given.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReportData, renderReport } from '../../../lib/operations/report';

/** Elements of HTML that have no end. */
const VOID = new Set(['meta', 'img', 'br', 'link']);

/** What is broken in markup, elements that are not closed or are closed by another's name; undefined where nothing is. */
function brokenMarkup(text: string): string | undefined {
  const open: string[] = [];
  const body = text.replace(/<!--[\s\S]*?-->|<!doctype[^>]*>|<style[^>]*>[\s\S]*?<\/style>/gi, '');
  for (const [tag, slash, name, rest] of body.matchAll(
    /<(\/?)([a-zA-Z][\w:]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*\s*\/?)>/g,
  )) {
    if (slash === '/') {
      if (open.pop() !== name) return `${tag} closes another element`;
    } else if (!rest?.endsWith('/') && !VOID.has(name as string)) open.push(name as string);
  }
  if (open.length > 0) return `<${open.join('> <')}> is not closed`;
  const left = body.replace(/<\/?[a-zA-Z][\w:]*(?:\s+[\w:-]+(?:="[^"<]*")?)*\s*\/?>/g, '');
  return /<|&(?!#?\w+;)/.test(left) ? `a stray character in: ${left.slice(0, 80)}` : undefined;
}

const data: ReportData = {
  pipeline: 'planes <of> "MRI" & CT',
  executionArn: 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/planes/execution/abc',
  status: 'Succeeded',
  startedAt: new Date('2026-01-02T03:04:05Z'),
  definition: JSON.stringify({ Steps: [{ Name: 'Train', Type: 'Training', Arguments: { note: '</pre><script>' } }] }),
  statuses: new Map([['Train', 'Succeeded']]),
  timings: [{ name: 'Train', start: 0, seconds: 12.3 }],
  history: [
    { epoch: 1, train_loss: 0.9, train_accuracy: 0.5 },
    { epoch: 2, train_loss: 0.4, train_accuracy: 0.8, valid_loss: 0.5, valid_accuracy: 0.75 },
  ],
  results: {
    task: 'classification',
    accuracy: 0.9375,
    classes: {
      axial: { precision: 0.911, recall: 0.822, f1: 0.733, support: 44 },
      coronal: { precision: 1, recall: 1, f1: 1, support: 20 },
    },
    confusion: { axial: { axial: 40, coronal: 4 }, coronal: { coronal: 20 } },
    samples: [
      {
        file: 'a.png',
        image: Buffer.from('pixels'),
        contentType: 'image/png',
        actual: 'axial',
        predicted: 'coronal',
        probability: 0.625,
      },
    ],
  },
};

const rendered = renderReport(data);

test('it is one whole page', async () => {
  const html = await rendered;
  assert.match(html, /^<!doctype html>\n<html lang="en">/);
  assert.equal(brokenMarkup(html), undefined);
});

test('it loads nothing', async () => {
  const html = await rendered;
  const loads = [
    ...html.matchAll(/\b(?:src|href|xlink:href|data|action|poster)="([^"]*)"/g),
    ...html.matchAll(/url\(([^)]*)\)/g),
  ].map(([, target]) => target as string);
  assert.deepEqual(
    loads.filter((target) => !target.startsWith('data:') && !target.startsWith('#')),
    [],
  );
  assert.doesNotMatch(html, /<script|<link|<iframe|@import/);
});

test('it has the accuracy, and the numbers of each class', async () => {
  const html = await rendered;
  assert.match(html, /<span class="number">93\.8%<\/span>/);
  assert.match(html, /<td>axial<\/td><td>91\.1%<\/td><td>82\.2%<\/td><td>73\.3%<\/td><td>44<\/td>/);
});

test('it has the curves, the confusion matrix, the timings and the graph', async () => {
  const html = await rendered;
  assert.equal(html.match(/<svg/g)?.length, 5);
  for (const text of ['Loss', 'Accuracy', 'Confusion matrix', 'Timings (s)', 'valid loss'])
    assert.ok(html.includes(`>${text}<`), text);
  assert.match(html, /<title>Train<\/title>/);
});

test('a count that the evaluation left out is 0 in the matrix', async () => {
  const matrix = (await rendered).split('<svg').find((svg) => svg.includes('>Confusion matrix<')) as string;
  assert.deepEqual(
    [...matrix.matchAll(/<text[^>]*>(\d+)<\/text>/g)].map(([, count]) => Number(count)).sort(),
    [0, 20, 4, 40],
  );
});

test('it shows each image with what was said of it, and what it is', async () => {
  const html = await rendered;
  assert.ok(html.includes(`src="data:image/png;base64,${Buffer.from('pixels').toString('base64')}"`));
  assert.match(html, /<figure class="wrong">.*✗ coronal<br>62\.5%<br><small>label: axial/);
});

test('what it is given is text, never markup', async () => {
  const html = await rendered;
  assert.match(html, /<h1>planes &#60;of&#62; &#34;MRI&#34; &#38; CT<\/h1>/);
});

test('of volumes it has the mean Dice, the numbers of each class, and pictures', async () => {
  const html = await renderReport({
    ...data,
    history: [{ epoch: 1, train_loss: 0.9, valid_dice: 0.5, valid_iou: 0.4 }],
    results: {
      task: 'segmentation',
      dice: 0.8128,
      volumes: 4,
      classes: {
        tumour: { dice: 0.8128, iou: 0.7, precision: 0.9, recall: 0.6, hausdorff95: 3.456, surfaceDistance: 1.2 },
        empty: { dice: 1 },
      },
      samples: [
        {
          name: 'patient <1>',
          classes: [{ name: 'tumour', labelled: 12.34, predicted: 10.5, dice: 0.8767 }],
          png: Buffer.from('pixels'),
        },
        { name: 'patient 2', classes: [], problem: 'not answered: <too large>' },
      ],
    },
  });
  assert.equal(brokenMarkup(html), undefined);
  assert.match(html, /<span class="number">0\.813<\/span> mean Dice on the \d+ held-out volumes/);
  assert.match(
    html,
    /<td>tumour<\/td><td>0\.813<\/td><td>0\.700<\/td><td>0\.900<\/td><td>0\.600<\/td><td>3\.46<\/td><td>1\.20<\/td>/,
  );
  assert.match(html, /<td>empty<\/td><td>1\.000<\/td><td>–<\/td>/);
  const source = `data:image/png;base64,${Buffer.from('pixels').toString('base64')}`;
  assert.ok(html.includes(`<img src="${source}" alt="slices of patient &#60;1&#62; with`));
  assert.match(html, /<b>patient &#60;1&#62;<\/b><br>tumour: Dice 0\.877, 10\.5 ml predicted, 12\.3 ml labelled</);
  assert.match(html, /<b>patient 2<\/b><br>not answered: &#60;too large&#62;</);
  assert.ok(html.includes('>valid dice<'));
});
