// The split stage: what it passes on to the command, and what it refuses at synth, before a job finds it out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Role } from 'aws-cdk-lib/aws-iam';
import { ByocImage, PipelineError, Split, type SplitProps } from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

function split(props: Partial<SplitProps>): Split {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  return new Split(stack, 'Split', {
    data: 's3://b/raw',
    output: 's3://b/out',
    image: ByocImage.fromUri(stack, 'Image', 'registry.test/a:1'),
    role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/r'),
    ...props,
  });
}

function findingsOf(props: Partial<SplitProps>): readonly string[] {
  try {
    split(props);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where } of error.findings) assert.equal(where, 'step Split at Test/Split');
    return error.findings.map(({ problem }) => problem.replace(/; allowed.*/s, ''));
  }
  return [];
}

test('shares, groups, strategy and seed come to the command', () => {
  const { Arguments } = split({
    fractions: [8, 1, 1],
    groupBy: 'csv:/a/b.csv:patient',
    strategy: 'random',
    seed: 3,
  }).step.toDefinition() as { Arguments: { AppSpecification: { ContainerArguments: string[] } } };
  const words = Arguments.AppSpecification.ContainerArguments.join(' ');
  assert.match(words, /--fractions 8,1,1 --strategy random --seed 3 --group-by csv:\/a\/b\.csv:patient/);
});

for (const [problem, props] of [
  ['fractions is [0, 0.5, 0.5]', { fractions: [0, 0.5, 0.5] }],
  ['fractions is [0.9, -0.1, 0.2]', { fractions: [0.9, -0.1, 0.2] }],
  ["groupBy is 'patient'", { groupBy: 'patient' }],
  ["groupBy is 'csv:patients.csv'", { groupBy: 'csv:patients.csv' }],
  ["strategy is 'grouped'", { strategy: 'grouped' as never }],
  ['seed is 1.5', { seed: 1.5 }],
  ["instanceType is 'm5.xlarge'", { instanceType: 'm5.xlarge' }],
  ['volumeSize is 0.5', { volumeSize: 0.5 }],
  ["data is 'b/raw'", { data: 'b/raw' }],
  ["output is 'b/out'", { output: 'b/out' }],
] as const satisfies readonly (readonly [string, Partial<SplitProps>])[]) {
  test(`${problem}: refused`, () => {
    assert.deepEqual(findingsOf(props), [problem]);
  });
}

test('a pattern that is no regular expression is refused, and says why', () => {
  assert.match(findingsOf({ groupBy: 'pattern:^(patient' }).join(), /Unterminated group/);
});
