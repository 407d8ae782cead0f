// What is known of images before they are built: where their Dockerfiles are, their names here, and whether a build is up to date.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FileSystem, IgnoreMode } from 'aws-cdk-lib';
import { type ContainerTool, imageLabel } from '../../local/jobs/container-tool';
import { OperationError } from '../errors';
import { type BuildOptions, buildImage } from './build';

/** Names the sources that an image was built from. */
export const SOURCES_LABEL = 'scanline.sources';

/** What an image is built from. */
export type Recipe = Pick<BuildOptions, 'folder' | 'file' | 'target' | 'tag' | 'buildArguments'>;

export type Tensorflow = 'cpu' | 'gpu';

/** Scanline's own images: stages of one Dockerfile. */
export const OWN_IMAGES = ['byoc', 'script-mode'] as const;

export type OwnImage = (typeof OWN_IMAGES)[number];

/** One of Scanline's own images. @param folder of this package */
export function ownRecipe(folder: string, image: OwnImage, tensorflow: Tensorflow): Recipe {
  return {
    folder,
    file: 'containers/byoc/Dockerfile',
    target: image,
    tag: `scanline/${image}:${tensorflow}`,
    buildArguments: { TENSORFLOW: tensorflow },
  };
}

/** The image of a folder with a Dockerfile. @throws OperationError where it has none */
export function folderRecipe(folder: string): Recipe {
  if (!existsSync(join(folder, 'Dockerfile')))
    throw new OperationError(
      `the folder ${folder} has no Dockerfile, so its image cannot be built.`,
      'add one; or run jobs as processes (--executor process).',
    );
  const name =
    basename(folder)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '') || 'image';
  const place = FileSystem.fingerprint(join(folder, 'Dockerfile'), { extraHash: folder }).slice(0, 8);
  return { folder, tag: `scanline-local/${name}-${place}` };
}

/** Of the build context, the stage and the build arguments, as `cdk deploy` tells images apart. */
export function sourcesOf({ folder, target, buildArguments = {} }: Recipe): string {
  const ignoreFile = join(folder, '.dockerignore');
  return FileSystem.fingerprint(folder, {
    exclude: existsSync(ignoreFile) ? readFileSync(ignoreFile, 'utf8').split('\n') : [],
    ignoreMode: IgnoreMode.DOCKER,
    extraHash: JSON.stringify({ target, buildArguments }),
  });
}

export type RecipeOptions = Pick<BuildOptions, 'tool' | 'baseImage' | 'secrets' | 'cache' | 'onLine'>;

/** What mirrors need is said in the environment too, for commands that build on the way to something else. */
function ofEnvironment(): Pick<BuildOptions, 'baseImage' | 'secrets'> {
  const { SCANLINE_BASE_IMAGE: baseImage, SCANLINE_BUILD_SECRETS: secrets = '' } = process.env;
  return { ...(baseImage && { baseImage }), secrets: secrets.split(' ').filter((secret) => secret !== '') };
}

/** Builds an image, and names in it what it was built from. */
export async function buildRecipe(recipe: Recipe, options: RecipeOptions): Promise<void> {
  const { baseImage, secrets = [], ...rest } = options;
  const environment = ofEnvironment();
  await buildImage({
    ...recipe,
    ...environment,
    ...(baseImage !== undefined && { baseImage }),
    secrets: [...(environment.secrets ?? []), ...secrets],
    ...rest,
    labels: { [SOURCES_LABEL]: sourcesOf(recipe) },
  });
}

/** Whether this machine has the image of these very sources. */
export function isBuilt(tool: ContainerTool, recipe: Recipe): boolean {
  return imageLabel(tool, recipe.tag, SOURCES_LABEL) === sourcesOf(recipe);
}
