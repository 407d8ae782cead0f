// Compares numbers that two programs computed.
import assert from 'node:assert/strict';

/** Fails unless every value is within `tolerance` of the expected one, absolutely; tells the largest difference. */
export function assertClose(
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of values`);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(Number(actual[i]) - Number(expected[i]));
    assert.ok(Number.isFinite(difference), `${what}: value ${i} is ${actual[i]}, expected ${expected[i]}`);
    worst = Math.max(worst, difference);
  }
  assert.ok(worst <= tolerance, `${what}: differs by up to ${worst}, allowed is ${tolerance}`);
}
