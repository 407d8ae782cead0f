// The training stack, and one with tuning, transform and fallback, pass the rule packs of cdk-nag and our own: what remains is acknowledged, with a reason, where it is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { App, CfnResource, type Stack, Validations } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks, HIPAASecurityChecks, type NagPack, NIST80053R5Checks } from 'cdk-nag';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { ScanlineChecks } from '../../../lib/nag';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';
import { importedVpc } from '../stacks/imported-vpc';
import { tuningStack } from '../stages/tuning-stack';

const PACKS = { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, ScanlineChecks };

/** As `cdk synth` has it, for policies that are merged have other findings. */
function stack(props: TrainingStackProps = {}): TrainingStack {
  const context = { '@aws-cdk/aws-iam:minimizePolicies': true };
  return new TrainingStack(new App({ outdir: temporaryFolder(), context }), 'Test', props);
}

const OTHERS: Readonly<Record<string, () => Stack>> = {
  'a stack with tuning, transform and a fallback of instance types': tuningStack,
  'the training stack for segmentation': () => stack({ task: 'segmentation' }),
  'the training stack with an MLflow server, in a VPC': () =>
    stack({ tracking: { serverName: 'lab' }, vpc: importedVpc() }),
};

function findings(pack: NagPack, scope: Stack): string[] {
  return pack
    .validateScope(scope)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
    );
}

for (const [name, Pack] of Object.entries(PACKS)) {
  test(`${name} finds nothing in the training stack`, () => {
    assert.deepEqual(findings(new Pack(), stack()), []);
  });

  for (const [other, make] of Object.entries(OTHERS)) {
    test(`${name} finds nothing in ${other}`, () => {
      assert.deepEqual(findings(new Pack(), make()), []);
    });
  }
}

test('a bucket that does not have what ours has is found by each pack of cdk-nag', () => {
  const scope = stack();
  new Bucket(scope, 'Planted');
  for (const Pack of [AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks]) {
    const found = findings(new Pack(), scope);
    assert.ok(found.length > 0, Pack.name);
    for (const finding of found) assert.match(finding, /at Test\/Planted\//);
  }
});

test('an app with all packs is synthesised', () => {
  const app = new App({ outdir: temporaryFolder() });
  new TrainingStack(app, 'Test');
  Validations.of(app).addPlugins(...Object.values(PACKS).map((Pack) => new Pack(app)));
  app.synth();
});

for (const scope of [stack(), tuningStack()]) {
  test(`each acknowledgement in ${scope.node.findAll().length} constructs has a reason and stands on one resource`, () => {
    const acknowledged = scope.node.findAll().flatMap((construct) =>
      construct.node.metadata
        .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
        .flatMap(({ data }) => Object.entries(data as Record<string, string>))
        .map(([id, reason]) => ({ id, reason, resources: construct.node.findAll().filter(CfnResource.isCfnResource) })),
    );
    const ours = acknowledged.filter(({ id }) => /AwsSolutions|HIPAA|NIST|Scanline/.test(id));
    assert.ok(ours.length > 0);
    for (const { id, reason, resources } of ours) {
      assert.ok(reason.length > 20, `${id}: ${reason}`);
      const types = resources.map(({ cfnResourceType }) => cfnResourceType.replace('BucketPolicy', 'Bucket'));
      assert.equal(new Set(types).size, 1, `${id} covers ${types.join(', ')}`);
    }
  });
}

test('who imports the constructs, and not the rules, needs no cdk-nag', () => {
  const program = `require('scanline-sagemaker'); console.log(Object.keys(require.cache).join('\\n'))`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { cwd: packageRoot, encoding: 'utf8' });
  assert.match(stdout, /training-stack\.js/, stderr);
  assert.doesNotMatch(stdout, /cdk-nag/);
});

test('the rules are exported as scanline-sagemaker/nag', () => {
  assert.equal(require('scanline-sagemaker/nag').ScanlineChecks, ScanlineChecks);
});
