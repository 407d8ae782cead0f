// scanline check: what is wrong with a pipeline's definition, ours or another's, before it costs money.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { Command } from 'commander';
import { OperationError } from '../../lib/operations/errors';
import type { Definition } from '../../lib/pipeline';

interface NamedDefinition {
  readonly name: string;
  readonly definition: Definition;
}

function parse(text: string, from: string): Definition {
  let definition: Definition | null;
  try {
    definition = JSON.parse(text);
  } catch (error) {
    throw new OperationError(
      `${from} is not JSON: ${(error as Error).message}.`,
      'give a file with a definition as JSON.',
    );
  }
  if (Array.isArray(definition?.Steps)) return definition as Definition;
  throw new OperationError(
    `${from} has no list of Steps.`,
    'give the definition itself: what `describe-pipeline` has as PipelineDefinition, or a folder of templates.',
  );
}

/** The pipelines in a folder of synthesised templates. */
async function definitionsIn(folder: string): Promise<NamedDefinition[]> {
  const { pipelinesIn } = await import('../../lib/operations/assembly.js');
  const { resolveTemplate } = await import('../../lib/local/executions/cloudformation.js');
  const found = pipelinesIn(folder).map(({ template, resource }) => {
    const { PipelineName, PipelineDefinition } = resource.Properties as Record<
      string,
      { PipelineDefinitionBody: unknown }
    >;
    const name = String(resolveTemplate(PipelineName, template));
    const body = resolveTemplate(PipelineDefinition?.PipelineDefinitionBody, template);
    return { name, definition: parse(String(body), `the definition of ${name} in ${folder}`) };
  });
  if (found.length > 0) return found;
  throw new OperationError(`${folder} has no template with a pipeline.`, 'run `npx cdk synth`, and give its cdk.out.');
}

async function read(path: string): Promise<NamedDefinition[]> {
  if (!existsSync(path))
    throw new OperationError(`there is no ${path}.`, 'give a JSON file, or a folder of templates.');
  if (statSync(path).isDirectory()) return definitionsIn(path);
  return [{ name: path, definition: parse(readFileSync(path, 'utf8'), path) }];
}

export function checkCommand(): Command {
  return new Command('check')
    .description('find what is wrong with a pipeline: a definition as JSON, or the pipelines of synthesised templates')
    .argument('<file>', "a definition's JSON file, or a folder of templates (cdk.out)")
    .addHelpText(
      'after',
      `
Exits with 1 where SageMaker would refuse the pipeline or an execution would fail; warnings alone exit with 0.

Examples:
  scanline check definition.json
  npx cdk synth --quiet && scanline check cdk.out
  aws sagemaker describe-pipeline --pipeline-name p --query PipelineDefinition --output text > p.json && scanline check p.json
`,
    )
    .action(async (path: string) => {
      // the AWS SDK's advice on the version of Node.js is not about what is checked here
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
      const { check, errorsOf } = await import('../../lib/pipeline/index.js');
      for (const { name, definition } of await read(path)) {
        const findings = check(definition);
        const errors = errorsOf(findings).length;
        for (const { where, problem, fix, severity } of findings)
          process.stdout.write(`${severity === 'warning' ? '!' : '✗'} ${where}: ${problem}\n  Fix: ${fix}\n`);
        const counts = `errors: ${errors}, warnings: ${findings.length - errors}`;
        process.stdout.write(`${errors > 0 ? '✗' : '✓'} ${name}: ${counts}\n`);
        if (errors > 0) process.exitCode = 1;
      }
    });
}
