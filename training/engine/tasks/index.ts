// The task of a training, by its network: classes of images, or segmentations of volumes.
import type { FitOptions } from '../fit';
import { classification } from './classification';
import { segmentation } from './segmentation';
import type { Task } from './task';

export type { Scores, Task } from './task';

/** Networks that give a class to each voxel. */
const SEGMENTS: ReadonlySet<string> = new Set(['segresnet', 'unet', 'swinunetr']);

/** @throws UserError for data or settings that the user must mend */
export function openTask(options: FitOptions, line: (text: string) => void): Promise<Task> {
  return SEGMENTS.has(options.hyperparameters.model_name) ? segmentation(options, line) : classification(options, line);
}
