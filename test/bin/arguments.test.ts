// Durations as they are typed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration } from '../../bin/commands/arguments';

test('durations are seconds, in units or as Lightning writes them', () => {
  assert.deepEqual(
    ['90s', '45m', '1h30m', '1d', '0.5h', '00:01:30:05'].map(duration),
    [90, 2700, 5400, 86_400, 1800, 5405],
  );
});

test('what is no duration is refused with examples', () => {
  for (const text of ['', '5', '0s', 'soon', '1h soon', '1:30', '-5m'])
    assert.throws(() => duration(text), /as 90s, 45m, 1h30m or 00:01:30:00/, text);
});
