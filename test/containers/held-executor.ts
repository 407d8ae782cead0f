// A process of its own for a test to kill: it runs a container that does not heed SIGTERM.
import { join } from 'node:path';
import { ContainerExecutor } from '../../lib/local/jobs/container-executor';
import type { ContainerTool } from '../../lib/local/jobs/container-tool';

const [tool, image = '', folder = ''] = process.argv.slice(2);
new ContainerExecutor({ tool: tool as ContainerTool, images: new Map() }, folder).run({
  image,
  command: ['sh', '-c', `trap '' TERM; touch /opt/ml/ready; while :; do sleep 0.1; done`],
  environment: {},
  base: join(folder, 'opt', 'ml'),
  log: join(folder, 'log.txt'),
});
