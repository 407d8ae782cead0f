// What tests with real containers stand on: the tool of this machine, and Scanline's image, which they do not build.
import { spawnSync } from 'node:child_process';
import { type ContainerTool, findContainerTool, imageId } from '../../lib/local/jobs/container-tool';

/** Scanline's image by which the tests run what they run. */
export const IMAGE = process.env.IMAGE ?? 'scanline/byoc:cpu';

/** The same of script mode. */
export const SCRIPT_MODE_IMAGE = process.env.SCRIPT_MODE_IMAGE ?? 'scanline/script-mode:cpu';

function find(): ContainerTool | string {
  try {
    return findContainerTool('run');
  } catch (error) {
    return (error as Error).message.split('\n')[0] as string;
  }
}

const found = find();

/** docker or podman. */
export const tool = found as ContainerTool;

/** For the option `skip` of a test: false where there is a tool with the image, else why the test is left out. */
export function withoutImage(image: string): string | false {
  if (found !== 'docker' && found !== 'podman') return found;
  return imageId(tool, image) ? false : `${tool} has no image ${image}; scanline image build`;
}

export const withoutContainers = withoutImage(IMAGE);

/** What the tool prints. @throws Error when it fails */
export function ask(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')} failed:\n${stderr}`);
  return stdout.trim();
}

/** Runs a container to its end. */
export function containerEnd(...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(tool, ['run', '--rm', ...args], { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

/** The containers of the control plane of a folder. */
export function containersOf(state: string): string[] {
  return ask('ps', '--all', '--quiet', '--filter', `label=scanline.state=${state}`).split('\n').filter(Boolean);
}
