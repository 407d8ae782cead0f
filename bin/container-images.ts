// The images of a pipeline, for jobs that run in containers on this machine: built where they are not, or no longer, up to date.
import { join } from 'node:path';
import { type ContainerSettings, findContainerTool } from '../lib/local';
import { buildRecipe, folderRecipe, isBuilt, OWN_IMAGES, ownRecipe, type Recipe } from '../lib/operations/image/recipe';
import { packageRoot } from '../training/native/cache';
import { inspectMachine } from '../training/native/machine';

/** What an image's commands belong to; images of registries are not listed, and pulled by their URI. */
function recipeOf(folder: string, gpu: boolean): Recipe {
  const own = OWN_IMAGES.find((image) => folder === join(packageRoot, 'containers', image));
  return own === undefined ? folderRecipe(folder) : ownRecipe(packageRoot, own, gpu ? 'gpu' : 'cpu');
}

/**
 * @param folders by the URI of an image, the folder that it is built from
 * @param onLine gets what a build prints
 * @throws ContainerToolError where there is neither docker nor podman, or a build fails
 */
export async function provideImages(
  folders: ReadonlyMap<string, string>,
  memory: string | undefined,
  onLine: (line: string) => void,
): Promise<ContainerSettings> {
  const tool = findContainerTool('run');
  const gpu = inspectMachine().gpus.length > 0;
  const images = new Map<string, string>();
  for (const [uri, folder] of folders) {
    const recipe = recipeOf(folder, gpu);
    // podman finds what buildah has built, and the other way round
    if (!isBuilt(tool, recipe))
      await buildRecipe(recipe, { tool: tool === 'docker' ? tool : findContainerTool('build'), onLine });
    images.set(uri, recipe.tag);
  }
  return { tool, images, gpu, ...(memory !== undefined && { memory }) };
}
