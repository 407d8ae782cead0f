// A step of the image's build: TensorFlow and the addons into SCANLINE_CACHE. Unlike `scanline setup` it does not ask whether this
// machine could run them, for an image is often built on another processor (an Apple laptop emulates x64 without AVX).
import { buildAddons } from '../../training/native/addons';
import { installTensorflow } from '../../training/native/install';

async function main(flavour: string | undefined): Promise<void> {
  if (flavour !== 'cpu' && flavour !== 'gpu') {
    throw new Error(`TENSORFLOW is '${flavour}'; allowed are cpu and gpu. Fix: --build-arg TENSORFLOW=cpu`);
  }
  const report = (line: string) => process.stdout.write(`${line}\n`);
  await installTensorflow(flavour, report);
  await buildAddons(flavour, report);
}

main(process.argv[2]).catch((error: Error) => {
  process.stderr.write(`\n✗ ${error.message}\n`);
  process.exitCode = 1;
});
