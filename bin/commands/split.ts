// scanline split: splits images or subjects into train, valid and test.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { describeSplit, parseFractions, parseGroupKey, parseSeed, split } from '../../training/data/split';

interface Options {
  data: string;
  out: string;
  fractions: string;
  seed: string;
  strategy: 'stratified' | 'random';
  groupBy?: string;
}

export function splitCommand(): Command {
  return new Command('split')
    .description('split images or subjects into train, valid and test, without tearing groups apart')
    .requiredOption(
      '--data <folder>',
      'class folders of PNG or JPEG images; or subjects with their volumes, a dataset.json, or train/ and valid/ of subjects',
    )
    .requiredOption('--out <folder>', 'gets train/, valid/ and test/')
    .option('--fractions <shares>', 'shares of train, valid and test', '0.7,0.15,0.15')
    .option('--seed <number>', 'of the random order', '0')
    .addOption(
      new Option('--strategy <name>', 'how classes are spread').choices(['stratified', 'random']).default('stratified'),
    )
    .option(
      '--group-by <key>',
      'what must stay together: pattern:REGEX (of the name of the file or subject), folder, or csv:FILE:COLUMN',
    )
    .addHelpText(
      'after',
      `
Examples:
  scanline split --data images --out split
  scanline split --data images --out split --group-by 'pattern:^(patient\\d+)_' --fractions 0.8,0.1,0.1
  scanline split --data images --out split --group-by csv:patients.csv:patient_id
  scanline split --data subjects --out split --group-by 'pattern:^(patient\\d+)_'
`,
    )
    .action(async (options: Options) => {
      const report = await split({
        input: options.data,
        outputs: {
          train: join(options.out, 'train'),
          valid: join(options.out, 'valid'),
          test: join(options.out, 'test'),
        },
        fractions: parseFractions(options.fractions),
        seed: parseSeed(options.seed),
        strategy: options.strategy,
        ...(options.groupBy && { groupBy: parseGroupKey(options.groupBy) }),
      });
      for (const line of describeSplit(report)) process.stdout.write(`${line}\n`);
    });
}
