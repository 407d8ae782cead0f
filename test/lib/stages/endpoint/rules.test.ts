// Endpoints as templates, under rules that are not ours: cfn-lint, the packs of cdk-nag, and our own pack.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type App, Stage } from 'aws-cdk-lib';
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks } from 'cdk-nag';
import { ScanlineChecks } from '../../../../lib/nag';
import { packageRoot } from '../../../../training/native/cache';
import { STACKS, stackOf } from './stacks';

const LINTER = join(packageRoot, '.oracle', 'bin', 'cfn-lint');
const skip = existsSync(LINTER) ? false : 'cfn-lint is not installed: `npm run oracle` does it';

const PACKS = { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, ScanlineChecks };

for (const [name, make] of Object.entries(STACKS)) {
  test(`${name}: cfn-lint has neither errors nor warnings`, { skip }, () => {
    const file = Stage.of(stackOf(make))?.synth().stacks[0]?.templateFullPath as string;
    // W3005: CDK itself makes each function wait for its role, which it refers to anyway
    const options = ['--non-zero-exit-code', 'warning', ...(name === 'approved' ? ['--ignore-checks', 'W3005'] : [])];
    const { status, stdout, stderr } = spawnSync(LINTER, [...options, '--', file], { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
  });

  for (const [pack, Pack] of Object.entries(PACKS)) {
    test(`${name}: ${pack} finds nothing in the endpoint`, () => {
      const found = new Pack()
        .validateScope(stackOf(make).node.root as App)
        .violations.flatMap(({ ruleName, violatingResources }) =>
          violatingResources
            // beside it stand what each app has of its own: a network, topics, a repository
            .filter(({ constructPath }) => /^Test\/(Endpoint|Group)\//.test(constructPath ?? ''))
            .map(({ constructPath }) => `${ruleName} at ${constructPath}`),
        );
      assert.deepEqual(found, []);
    });
  }
}
