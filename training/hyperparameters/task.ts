// What a network is for. Pure data.

/** classification: a class for each image; segmentation: a class for each voxel of a volume. */
export type TaskName = 'classification' | 'segmentation';

/** Networks that give a class to each voxel. */
export const SEGMENTATION_NETWORKS = ['segresnet', 'unet', 'swinunetr'] as const;

/** The task of a network. */
export function taskOf(modelName: string): TaskName {
  return (SEGMENTATION_NETWORKS as readonly string[]).includes(modelName) ? 'segmentation' : 'classification';
}
