// Loaded before an example app (node --require): says on standard output, one a line, what the rule packs find when the app is synthesised.
import { App, Stack } from 'aws-cdk-lib';
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks } from 'cdk-nag';
import { ScanlineChecks } from '../../lib/nag';

const synth = App.prototype.synth;
let isDone = false;

App.prototype.synth = function (...options) {
  const assembly = synth.apply(this, options);
  const stacks = isDone ? [] : this.node.children.filter(Stack.isStack);
  if (!isDone) process.stdout.write('synthesised\n');
  isDone = true;
  for (const Pack of [AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, ScanlineChecks]) {
    for (const { ruleName, violatingResources } of stacks.flatMap((stack) => [
      ...new Pack().validateScope(stack).violations,
    ])) {
      for (const { constructPath } of violatingResources) process.stdout.write(`${ruleName} at ${constructPath}\n`);
    }
  }
  return assembly;
};
