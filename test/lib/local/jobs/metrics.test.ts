// Metrics in a log that grows: each line is read once, and only when it is whole.
import assert from 'node:assert/strict';
import { appendFileSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogMetrics } from '../../../../lib/local/jobs/metrics';
import { temporaryFolder } from '../../../training/temporary-folder';

const DEFINITIONS = ['loss', 'acc'].map((name) => ({ Name: name, Regex: `^${name}=([0-9.]+)` }));

function log(text: string) {
  const file = join(temporaryFolder(), 'log.txt');
  writeFileSync(file, text);
  const metrics = new LogMetrics(file, DEFINITIONS);
  const values = (isComplete?: boolean) =>
    Object.fromEntries(metrics.read(isComplete).map(({ MetricName, Value }) => [MetricName, Value]));
  return { file, metrics, values };
}

test('what has been read is not read again', () => {
  const { file, values } = log('loss=0.5\n');
  assert.deepEqual(values(), { loss: 0.5 });
  writeSync(openSync(file, 'r+'), 'acc=0.99', 0);
  appendFileSync(file, 'loss=0.4\n');
  assert.deepEqual(values(), { loss: 0.4 });
});

test('a metric that is not printed again keeps its value and its time', async () => {
  const { file, metrics } = log('loss=0.5\n');
  const [loss] = metrics.read();
  await new Promise((resolve) => setTimeout(resolve, 5));
  appendFileSync(file, 'acc=0.9\n');
  const [same, acc] = metrics.read();
  assert.deepEqual(same, loss);
  assert.ok((acc?.Timestamp as Date) > (loss?.Timestamp as Date));
});

test('half a line is not read as a whole one', () => {
  const { file, values } = log('é loss=9\nloss=0.2');
  assert.deepEqual(values(), {});
  appendFileSync(file, '5\n');
  assert.deepEqual(values(), { loss: 0.25 });
});

test("the last line counts at the job's end, ended or not", () => {
  assert.deepEqual(log('loss=0.5\nloss=0.25').values(true), { loss: 0.25 });
});

test('a progress bar, which goes back instead of on, has lines too', () => {
  assert.deepEqual(log('loss=0.5\rloss=0.25\rloss=0.').values(), { loss: 0.25 });
});

test('a log that is not there yet has no metrics', () => {
  assert.deepEqual(new LogMetrics(join(temporaryFolder(), 'gone'), DEFINITIONS).read(), []);
});
