// What of a training stack's props is refused before its stages are made: all at once, for each stage would tell its own alone.
import type { Construct } from 'constructs';
import type { Finding } from '../pipeline';
import { checkPipelineName } from '../pipeline/checks/names';
import { imageDefect } from '../pipeline/checks/uris';
import { checkInstanceType, refusals } from '../stages/checks/checks';
import { checkSplit } from '../stages/split';
import type { TrainingStackProps } from './training-stack';

/** What is wrong with them, but for the hyperparameters, which the task decides of. */
export function checkStack(scope: Construct, props: TrainingStackProps): Finding[] {
  const where = scope.node.path;
  const { pipelineName, imageUri, leastAccuracy, leastDice } = props;
  const image = imageUri === undefined ? undefined : imageDefect(imageUri);
  return [
    ...(pipelineName === undefined ? [] : checkPipelineName(pipelineName)),
    ...(image ? [{ where, problem: `imageUri ${image.problem}`, fix: image.fix }] : []),
    ...refusals(where, (refuse) => {
      checkInstanceType('trainingInstanceType', props.trainingInstanceType, refuse);
      for (const [prop, least] of Object.entries({ leastAccuracy, leastDice })) {
        if (least === undefined || (least >= 0 && least <= 1)) continue;
        refuse(prop, least, 'a number from 0 to 1', `give e.g. ${least > 1 && least <= 100 ? least / 100 : 0.9}`);
      }
    }),
    ...checkSplit(where, props),
  ];
}
