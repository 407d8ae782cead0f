// `scanline setup`: everything that training and serving need of this machine, fetched and built once.
import { UserError } from '../errors';
import { buildAddons } from './addons';
import { type Flavour, flavourOfEnvironment } from './cache';
import { installTensorflow, type Report } from './install';
import { inspectMachine, unsupported } from './machine';

/**
 * Brings TensorFlow and the addons into the cache; does nothing, silently, where they are there.
 *
 * @param asked which build @default SCANLINE_TENSORFLOW, else gpu where this machine has an NVIDIA device, else cpu
 * @throws UserError when this machine cannot run TensorFlow or a tool is missing
 */
export async function setUp(asked: Flavour | undefined, report: Report): Promise<Flavour> {
  const machine = inspectMachine();
  const obstacle = unsupported(machine);
  if (obstacle) throw new UserError(obstacle.problem, obstacle.fix);
  const flavour = asked ?? flavourOfEnvironment() ?? (machine.gpus.length > 0 ? 'gpu' : 'cpu');
  await installTensorflow(flavour, report);
  await buildAddons(flavour, report);
  return flavour;
}
