// One definition, two homes: what `cdk synth` gives is, byte for byte, what the local control plane runs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DescribePipelineCommand } from '@aws-sdk/client-sagemaker';
import { resolveTemplate } from '../../../lib/local';
import { pipelinesIn, synthesize } from '../../../lib/operations/assembly';
import { pushPipeline } from '../../../lib/operations/execution';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';
import { controlPlane, ROLE } from '../local/control-plane';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** A CDK app in a folder of its own, synthesised as the `cdk` command does it. */
function synth(): string {
  const folder = temporaryFolder();
  writeFileSync(
    join(folder, 'app.js'),
    `const { App } = require(${JSON.stringify(join(packageRoot, 'node_modules/aws-cdk-lib'))});
     const { TrainingStack } = require(${JSON.stringify(join(packageRoot, 'dist/lib'))});
     const groupBy = 'pattern:^"pätient"\\\\d+';
     new TrainingStack(new App(), 'Test', { pipelineName: 'planes', groupBy, hyperparameters: { num_epochs: 3 } });`,
  );
  const output = join(folder, 'cdk.out');
  synthesize({ folder, app: 'node app.js', output });
  return output;
}

test('the synthesised definition, with local values for its references, is what DescribePipeline returns', async (t) => {
  const [pipeline] = pipelinesIn(synth());
  assert.ok(pipeline);
  const unresolved = JSON.stringify(pipeline.resource.Properties);
  for (const intrinsic of ['"Ref":', '"Fn::GetAtt":']) assert.ok(unresolved.includes(intrinsic), intrinsic);
  const { PipelineName, PipelineDefinition } = resolveTemplate(pipeline.resource.Properties, pipeline.template) as {
    PipelineName: string;
    PipelineDefinition: { PipelineDefinitionBody: string };
  };
  const definition = PipelineDefinition.PipelineDefinitionBody;

  const { client } = await controlPlane(t);
  await pushPipeline(client, { name: PipelineName, definition, roleArn: ROLE });
  const described = await client.send(new DescribePipelineCommand({ PipelineName }));
  assert.equal(sha256(described.PipelineDefinition as string), sha256(definition));
});
