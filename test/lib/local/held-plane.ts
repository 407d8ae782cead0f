// A control plane in a process of its own, to be killed: prints its address, and runs until then.
// Arguments: the folder of its state, the folder of the image.
import { startLocalSageMaker } from '../../../lib/local';
import { IMAGE } from './control-plane';

async function main([folder, image]: readonly string[]): Promise<void> {
  const { url } = await startLocalSageMaker({
    folder: folder as string,
    images: new Map([[IMAGE, image as string]]),
  });
  process.stdout.write(`${url}\n`);
}

void main(process.argv.slice(2));
