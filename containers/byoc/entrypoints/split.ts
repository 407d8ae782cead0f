// The split stage: class folders of images or folders of subjects in, a folder for each part out.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inBase, runEntryPoint } from '../../../training/container';
import {
  describeSplit,
  parseFractions,
  parseGroupKey,
  parseSeed,
  parseStrategy,
  split,
} from '../../../training/data/split';

runEntryPoint(async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      input: { type: 'string', default: '/opt/ml/processing/input/data' },
      train: { type: 'string', default: '/opt/ml/processing/output/train' },
      validation: { type: 'string', default: '/opt/ml/processing/output/validation' },
      test: { type: 'string', default: '/opt/ml/processing/output/test' },
      fractions: { type: 'string', default: '0.7,0.15,0.15' },
      seed: { type: 'string', default: '0' },
      strategy: { type: 'string', default: 'stratified' },
      'group-by': { type: 'string' },
    },
  });
  const input = inBase(values.input);
  const groupBy = values['group-by'] === undefined ? undefined : parseGroupKey(values['group-by']);
  const report = await split({
    input,
    outputs: { train: inBase(values.train), valid: inBase(values.validation), test: inBase(values.test) },
    fractions: parseFractions(values.fractions),
    seed: parseSeed(values.seed),
    strategy: parseStrategy(values.strategy),
    // a CSV file comes with the data
    ...(groupBy && {
      groupBy: groupBy.kind === 'csv' ? { ...groupBy, path: resolve(input, inBase(groupBy.path)) } : groupBy,
    }),
  });
  for (const line of describeSplit(report)) process.stdout.write(`${line}\n`);
});
