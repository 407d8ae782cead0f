// Each example app passes the packs of cdk-nag and our own: what they find is about resources that the app has of its own, if any.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../training/native/cache';
import { temporaryFolder } from '../training/temporary-folder';

/** By example: the resources that are not made by constructs of ours. */
const OWN: Readonly<Record<string, RegExp>> = {
  minimal: /^$/,
  'beside-own-resources': / at Ward\/(Archive|Vpc|Review|Failed)\//,
  'script-mode-pytorch': /^$/,
};

function findings(example: string): string[] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', join(__dirname, 'nag-hook.js'), join(packageRoot, 'dist', 'examples', example, 'app.js')],
    {
      cwd: packageRoot,
      encoding: 'utf8',
      env: {
        ...process.env,
        CDK_OUTDIR: temporaryFolder(),
        // as cdk.json has it, for policies that are merged have other findings
        CDK_CONTEXT_JSON: JSON.stringify({ '@aws-cdk/aws-iam:minimizePolicies': true }),
        CDK_DEFAULT_REGION: 'eu-central-1',
        CDK_DEFAULT_ACCOUNT: '111122223333',
      },
    },
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^synthesised$/m);
  return stdout.split('\n').filter((line) => / at /.test(line));
}

for (const [example, own] of Object.entries(OWN)) {
  test(`${example}: the rule packs find nothing in what Scanline makes`, () => {
    const found = findings(example);
    assert.deepEqual(
      found.filter((finding) => !own.test(finding)),
      [],
    );
  });
}

test('the rule packs do look: a bucket that the app has of its own is found wanting', () => {
  assert.match(findings('beside-own-resources').join('\n'), /HIPAA\.Security-S3BucketLoggingEnabled at Ward\/Archive/);
});
