// The task of a training, by its network: classes of images, or segmentations of volumes.
import { taskOf } from '../../hyperparameters';
import type { FitOptions } from '../fit';
import { classification } from './classification';
import { segmentation } from './segmentation';
import type { Task } from './task';

export type { Scores, Task } from './task';

/** @throws UserError for data or settings that the user must mend */
export function openTask(options: FitOptions, line: (text: string) => void): Promise<Task> {
  const open = taskOf(options.hyperparameters.model_name) === 'segmentation' ? segmentation : classification;
  return open(options, line);
}
