// Definitions that others wrote, of which anything may be wrong: each is told of with findings, and none brings the checker down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, type Definition } from '../../../lib/pipeline';
import { whole } from './defects/planted';

const told = (definition: unknown) =>
  check(definition as Definition).map(({ where, problem }) => `${where}: ${problem}`);

test('what is no step is told by its place, and the others are checked', () => {
  const fail = { Name: 'Stop', Type: 'Fail', Arguments: {} };
  assert.deepEqual(told({ Steps: [null, { Name: 1 }, fail] }), [
    'Steps[0]: it is null, which is no step.',
    'Steps[1]: it is {"Name":1}, which is no step.',
    'step Stop: it has no ErrorMessage, which Fail step must have.',
  ]);
});

test('members of a wrong kind are told by the step', () => {
  const Arguments = { ErrorMessage: 'stop' };
  const stop = { Name: 'Stop', Type: 'Fail', Arguments, DependsOn: 'Train', CacheConfig: [], RetryPolicies: 3 };
  assert.deepEqual(told({ Steps: [stop] }), [
    'step Stop: its DependsOn is "Train".',
    'step Stop: its RetryPolicies is 3.',
    'step Stop: its CacheConfig is [].',
  ]);
});

test('branches and parameters that are none are told', () => {
  const Conditions = [{ Type: 'Equals', LeftValue: 1, RightValue: 1 }];
  const gate = { Name: 'Gate', Type: 'Condition', Arguments: { Conditions, IfSteps: 'Train', ElseSteps: [7] } };
  assert.deepEqual(told({ Parameters: ['Mode', { Name: 'Size', EnumValues: 'small' }], Steps: [gate] }), [
    'step Gate: IfSteps: it is "Train".',
    'step Gate: ElseSteps[0]: it is 7, which is no step.',
    'Parameters[0]: it is "Mode", which is no parameter.',
    'parameter Size: its EnumValues is "small".',
  ]);
});

/** All places of a JSON value, as the object and the key that lead there. */
function places(value: unknown, found: [Record<string, unknown>, string][] = []): typeof found {
  if (typeof value !== 'object' || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push([value as Record<string, unknown>, key]);
    places((value as Record<string, unknown>)[key], found);
  }
  return found;
}

test('whatever stands anywhere instead of what should, the checker answers', () => {
  const count = places(JSON.parse(whole)).length;
  assert.ok(count > 300, `${count}`);
  for (const wrong of [null, 7, 'wrong', true, [], {}, [null], [7], { Get: 7 }, { 'Std:Join': 7 }, { Get: 'Steps' }]) {
    for (let place = 0; place < count; place++) {
      const definition = JSON.parse(whole);
      const [holder, key] = places(definition)[place] as [Record<string, unknown>, string];
      holder[key] = structuredClone(wrong);
      const given = JSON.stringify(definition);
      assert.doesNotThrow(() => check(definition), `${key}: ${JSON.stringify(wrong)}`);
      assert.equal(JSON.stringify(definition), given, 'what is checked stays as it is');
    }
  }
});
