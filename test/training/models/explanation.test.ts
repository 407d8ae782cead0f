// Where networks look, against what PyTorch computes from the same weights: what test/oracle/training/explanation_fixtures.py wrote.
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { Model, torchShape } from '../../../training/engine/model';
import { densenet } from '../../../training/models/densenet';
import type { Network } from '../../../training/models/network';
import { resnet } from '../../../training/models/resnet';
import { vit } from '../../../training/models/vit';
import { convStemViT } from '../../../training/models/vit-conv';
import { assertClose } from '../assert-close';
import { readFixture } from '../fixture';
import { draw, formulaWeight } from './formula-weights';

interface Told {
  readonly images: number[];
  readonly logits: number[];
  readonly shape: number[];
  readonly maps: number[];
}

const networks: Record<string, () => Network> = {
  densenet: () =>
    densenet({ inChannels: 3, classes: 4, initFeatures: 8, growthRate: 4, blockConfig: [2, 3], bottleneckSize: 2 }),
  resnet: () => resnet({ inChannels: 2, classes: 3, layers: [1, 2, 1, 1], planes: [4, 6, 8, 12] }),
  vit: () =>
    vit({
      ...{ inChannels: 1, classes: 3, imageSize: [32, 48], patchSize: [8, 16] },
      ...{ hiddenSize: 24, mlpDim: 40, layers: 2, heads: 3 },
    }),
  vit_conv: () =>
    convStemViT({
      ...{ inChannels: 3, classes: 4, imageSize: [16, 24], stem: [4, 6, 6, 8] },
      ...{ hiddenSize: 16, mlpDim: 24, layers: 2, heads: 4 },
    }),
};

for (const [name, build] of Object.entries(networks)) {
  test(`${name} has looked where PyTorch's has, and says the same beside it`, async (context) => {
    const told = readFixture<Record<string, Told>>('explanations.json')[name] as Told;
    const runtime = new CompiledRuntime({});
    context.after(() => runtime.dispose());
    const network = build();
    const model = new Model(network, runtime);
    await model.load(
      new Map(network.parameters.map((spec) => [spec.name, formulaWeight(spec.name, torchShape(spec))])),
    );
    const shape = [-1, ...told.images.slice(1)];
    const program = runtime.program({ images: { dtype: 'float32', shape } }, ({ images }) => model.explain(images));
    const { logits, maps } = await program.run({ images: draw('images', told.images) });
    assertClose(maps.shape, told.shape, 0, 'shape of the maps');
    assertClose(maps.data as Float32Array, told.maps, 1e-4, 'maps');
    assertClose(logits.data as Float32Array, told.logits, 1e-4, 'logits');
  });
}
