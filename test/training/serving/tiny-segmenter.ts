// A small segmenter that was never trained, in a folder: its masks are its own affair, that they arrive is what is tested.
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { networkOf, type SegmenterConfig, writeWeights } from '../../../training/engine/artifact';
import { Model, toStateDict } from '../../../training/engine/model';
import { readHyperparameters } from '../../../training/settings';
import { temporaryFolder } from '../temporary-folder';

/** @param modalities names of its channels @returns its folder */
export async function tinySegmenter(modalities: readonly string[] = ['image']): Promise<string> {
  const config: SegmenterConfig = {
    ...{ format: 'scanline-segmenter', version: 1, classes: ['background', 'ball', 'rest'], labels: [0, 3, 7] },
    window: { shape: [16, 16, 16], channels: modalities.length },
    modalities,
    hyperparameters: readHyperparameters({
      given: {
        ...{ model_name: 'segresnet', init_filters: 8, blocks_down: '1,1', blocks_up: '1', roi_size: 16 },
        ...{ spacing: '1,1,1', orientation: 'RAS' },
      },
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
