// Precision, recall, F1, AUC and the confusion matrix: worked out by hand, and scikit-learn's (test/oracle/training/metric_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  argmax,
  ClassificationCounter,
  type ClassMetrics,
  softmax,
} from '../../../../training/engine/metrics/classification';
import { modelQualityReport } from '../../../../training/engine/prediction/report';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

/** Counts predictions of certain classes. */
function counted(classes: readonly string[], pairs: readonly (readonly [actual: number, predicted: number])[]) {
  const counter = new ClassificationCounter(classes);
  for (const [actual, predicted] of pairs)
    counter.add(
      classes.map((_, k) => (k === predicted ? 5 : 0)),
      actual,
    );
  return counter.result();
}

const repeated = (times: number, actual: number, predicted: number) =>
  Array.from({ length: times }, () => [actual, predicted] as const);

// cat: 8 of 10 found, 2 taken for dogs; dog: 3 of 5 found, 1 taken for a cat, 1 for a bird; bird: never found
const pairs = [
  ...[...repeated(8, 0, 0), ...repeated(2, 0, 1)],
  ...[...repeated(1, 1, 0), ...repeated(3, 1, 1), ...repeated(1, 1, 2)],
  ...repeated(1, 2, 0),
];
const metrics = counted(['cat', 'dog', 'bird'], pairs);

test('the confusion matrix counts actual by predicted', () => {
  assert.deepEqual(metrics.confusion, [
    [8, 2, 0],
    [1, 3, 1],
    [1, 0, 0],
  ]);
  assert.equal(metrics.count, 16);
});

test('accuracy, precision, recall and F1 are those worked out by hand', () => {
  assert.equal(metrics.accuracy, 11 / 16);
  const [cat, dog, bird] = metrics.classes;
  const { auc: _, ...known } = cat as ClassMetrics;
  assert.deepEqual(known, { name: 'cat', precision: 0.8, recall: 0.8, f1: 0.8000000000000002, support: 10 });
  assertClose([dog?.precision ?? 0, dog?.recall ?? 0, dog?.f1 ?? 0], [0.6, 0.6, 0.6], 1e-12, 'dog');
  assertClose([bird?.precision ?? 1, bird?.recall ?? 1, bird?.f1 ?? 1], [0, 0, 0], 0, 'bird');
});

test('a class that neither is nor is predicted counts 0, not NaN', () => {
  const { classes } = counted(['a', 'b', 'c'], repeated(2, 0, 0));
  assert.deepEqual(classes[2], { name: 'c', precision: 0, recall: 0, f1: 0, auc: Number.NaN, support: 0 });
});

test('no predictions at all are metrics of 0', () => {
  const { loss, accuracy, count } = counted(['a', 'b'], []);
  assert.deepEqual({ loss, accuracy, count }, { loss: 0, accuracy: 0, count: 0 });
});

test('the loss of logits far apart is finite', () => {
  const counter = new ClassificationCounter(['a', 'b']);
  counter.add([2000, -2000], 1);
  assert.equal(counter.result().loss, 4000);
});

test('softmax adds up to 1 and keeps ratios, also for large logits', () => {
  assertClose(softmax([1000, 1000 + Math.log(3)]), [0.25, 0.75], 1e-12, 'softmax');
});

test('the first of equal values is the largest', () => {
  assert.equal(argmax([1, 3, 3, 2]), 1);
});

test('the report for the registry weighs the classes by their support', () => {
  const report = modelQualityReport(metrics) as {
    multiclass_classification_metrics: Record<string, { value: number } & Record<string, Record<string, number>>>;
  };
  const { accuracy, weighted_recall, weighted_precision, weighted_f1, confusion_matrix } =
    report.multiclass_classification_metrics;
  assertClose(
    [accuracy, weighted_recall, weighted_precision, weighted_f1].map((metric) => metric?.value as number),
    [11 / 16, 11 / 16, 11 / 16, 11 / 16],
    1e-12,
    'metrics',
  );
  const { classes } = report as unknown as { classes: Record<string, { auc: number; f1: number }> };
  assertClose([classes.dog?.auc ?? 0, classes.dog?.f1 ?? 0], [metrics.classes[1]?.auc ?? 1, 0.6], 1e-12, 'dog');
  assert.deepEqual(confusion_matrix?.dog, { cat: 1, dog: 3, bird: 1 });
});

interface Sample {
  readonly logits: number[][];
  readonly labels: number[];
  readonly auc: number[];
  readonly precision: number[];
  readonly recall: number[];
  readonly f1: number[];
  readonly support: number[];
  readonly confusion: number[][];
}
const { classification } = readFixture<{ classification: Record<string, Sample> }>('metrics.json');

for (const [name, { logits, labels, confusion, ...expected }] of Object.entries(classification)) {
  test(`${name}: AUC, precision, recall, F1 and the confusion matrix are scikit-learn's`, () => {
    const counter = new ClassificationCounter(expected.support.map((_, k) => `class ${k}`));
    for (const [i, row] of logits.entries()) counter.add(row, labels[i] as number);
    const { classes, confusion: counts, f1, auc } = counter.result();
    assert.deepEqual(counts, confusion);
    for (const metric of ['auc', 'precision', 'recall', 'f1', 'support'] as const)
      assertClose(
        classes.map((found) => found[metric]),
        expected[metric],
        1e-9,
        metric,
      );
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    assertClose([f1, auc], [mean(expected.f1), mean(expected.auc)], 1e-9, 'means over the classes');
  });
}
