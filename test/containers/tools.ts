// What tests with real containers stand on: the tool of this machine, and Scanline's image, which they do not build.
import { spawnSync } from 'node:child_process';
import { type ContainerTool, findContainerTool, imageId } from '../../lib/local/jobs/container-tool';

/** Scanline's image by which the tests run what they run. */
export const IMAGE = process.env.IMAGE ?? 'scanline/byoc:cpu';

function find(): { tool?: ContainerTool; reason: string | false } {
  try {
    const tool = findContainerTool('run');
    return imageId(tool, IMAGE)
      ? { tool, reason: false }
      : { reason: `${tool} has no image ${IMAGE}; scanline image build` };
  } catch (error) {
    return { reason: (error as Error).message.split('\n')[0] as string };
  }
}

const { tool: found, reason } = find();

/** docker or podman. */
export const tool = found as ContainerTool;

/** For the option `skip` of a test: false where there is a tool with the image, else why the test is left out. */
export const withoutContainers: string | false = reason;

/** What the tool prints. @throws Error when it fails */
export function ask(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')} failed:\n${stderr}`);
  return stdout.trim();
}

/** The containers of the control plane of a folder. */
export function containersOf(state: string): string[] {
  return ask('ps', '--all', '--quiet', '--filter', `label=scanline.state=${state}`).split('\n').filter(Boolean);
}
