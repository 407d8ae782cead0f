// A small classifier that was never trained, in a folder: what it says is its own affair, that it says it is what is tested.
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { type ClassifierConfig, networkOf, writeWeights } from '../../../training/engine/artifact';
import { Model, toStateDict } from '../../../training/engine/model';
import { readHyperparameters } from '../../../training/settings';
import { temporaryFolder } from '../temporary-folder';

export const CLASSES = ['across', 'along'];

/** @param channels of its images of 32 x 32 pixels @returns its folder */
export async function tinyClassifier(channels: 1 | 3 = 1): Promise<string> {
  const config: ClassifierConfig = {
    ...{ format: 'scanline-classifier', version: 1, classes: CLASSES },
    image: { height: 32, width: 32, channels },
    hyperparameters: readHyperparameters({
      given: { init_features: 4, growth_rate: 2, bn_size: 1, block_config: '1,1', img_size: 32 },
    }),
  };
  const folder = temporaryFolder();
  const runtime = new CompiledRuntime({});
  const model = new Model(networkOf(config), runtime);
  await model.initialise(1);
  await writeWeights(folder, toStateDict(model.network, await model.values(), 0), config);
  runtime.dispose();
  return folder;
}
