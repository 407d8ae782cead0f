// The split stage: class folders in, a folder for each part out.
import { parseArgs } from 'node:util';
import { inBase, runEntryPoint } from '../../../training/container';
import { describeSplit, parseGroupKey, split } from '../../../training/data/split';

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
  const [train = 0, valid = 0, test = 0] = values.fractions.split(',').map(Number);
  const groupBy = values['group-by'];
  const report = await split({
    input: inBase(values.input),
    outputs: { train: inBase(values.train), valid: inBase(values.validation), test: inBase(values.test) },
    fractions: { train, valid, test },
    seed: Number(values.seed),
    strategy: values.strategy === 'random' ? 'random' : 'stratified',
    ...(groupBy && { groupBy: parseGroupKey(groupBy) }),
  });
  for (const line of describeSplit(report)) process.stdout.write(`${line}\n`);
});
