// A small classifier that was never trained, in a folder: what it says is its own affair, that it says it is what is tested.
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { type ClassifierConfig, networkOf, writeWeights } from '../../../training/engine/artifact';
import { Model, toStateDict } from '../../../training/engine/model';
import { readHyperparameters } from '../../../training/settings';
import { temporaryFolder } from '../temporary-folder';

export const CLASSES = ['across', 'along'];

/**
 * @param channels of its images of 32 x 32 pixels
 * @param favoured number of the only class that it looks for, and always finds @default it is as it was drawn
 * @returns its folder
 */
export async function tinyClassifier(channels: 1 | 3 = 1, favoured?: number): Promise<string> {
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
  const weights = toStateDict(model.network, await model.values(), 0);
  if (favoured !== undefined) {
    const [weight, bias] = ['weight', 'bias'].map(
      (name) => weights.get(`class_layers.out.${name}`)?.data as Float32Array,
    );
    const inputs = (weight as Float32Array).length / CLASSES.length;
    weight?.forEach((_, n) => {
      if (Math.floor(n / inputs) !== favoured) weight[n] = 0;
    });
    bias?.fill(0).fill(100, favoured, favoured + 1);
  }
  await writeWeights(folder, weights, config);
  runtime.dispose();
  return folder;
}
