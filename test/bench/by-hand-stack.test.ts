// What bench:synth compares is worth comparing: the stack by hand is TrainingStack, resource for resource.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { byHand, definitionIn, type Template as SynthesisedTemplate } from '../../bench/by-hand-stack';
import { TrainingStack } from '../../lib';

const makeApp = () => new App({ context: { '@aws-cdk/aws-iam:minimizePolicies': true } });

/** The resources without their descriptions and metadata, each called by its type and number. */
function resourcesOf({ Resources }: SynthesisedTemplate): unknown[] {
  const names = new Map<string, string>();
  for (const [id, { Type }] of Object.entries(Resources)) {
    const number = [...names.values()].filter((name) => name.startsWith(`${Type} `)).length;
    names.set(id, `${Type} ${number}`);
  }
  const renamed = Object.entries(Resources).map(([id, { Type, Properties }]) => {
    const { Description: _, ...properties } = Properties;
    let text = JSON.stringify({ name: names.get(id), Type, properties });
    for (const [from, to] of names) text = text.replaceAll(`"${from}"`, `"${to}"`);
    return JSON.parse(text) as { name: string };
  });
  return renamed.sort((a, b) => (a.name < b.name ? -1 : 1));
}

test('the stack by hand has the resources of TrainingStack, with the same properties', () => {
  const ours = Template.fromStack(new TrainingStack(makeApp(), 'Test')).toJSON() as SynthesisedTemplate;
  const app = makeApp();
  byHand(app, definitionIn(ours));
  const theirs = app.synth().getStackByName('Test').template as SynthesisedTemplate;
  assert.deepEqual(resourcesOf(theirs), resourcesOf(ours));
});
