// MONAI's segmenters as model folders and back: from the checkpoint that its users have to masks, with the same voxels.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { readNifti } from '../../../../training/data/volumes/nifti';
import { readSafetensors } from '../../../../training/engine/weights/safetensors';
import { packageRoot } from '../../../../training/native/cache';
import { scanline } from '../../command-line';
import { askOracle, withoutOracle } from '../../oracle';
import { writeSubject } from '../../sample-volumes';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');

before(async () => {
  await writeSubject(join(data, 'case'), 1, { images: ['img_t1', 'img_t2'], shape: [40, 33, 32] });
});

function toSafetensors(checkpoint: string, weights: string) {
  const helper = join(packageRoot, 'training', 'weights_to_safetensors.py');
  return spawnSync(join(packageRoot, '.oracle', 'bin', 'python'), [helper, checkpoint, weights], { encoding: 'utf8' });
}

interface Case {
  /** MONAI's network, in Python. */
  readonly network: string;
  readonly options: readonly string[];
  /** What its checkpoint is, in Python, of `state`. */
  readonly checkpoint: string;
  /** Sides of its windows. */
  readonly window: string;
}

const cases: Record<string, Case> = {
  segresnet: {
    network: 'SegResNet(3, 8, 2, 3, blocks_down=(1, 1), blocks_up=(1,))',
    options: ['--init_filters=8', '--blocks_down=1,1', '--blocks_up=1'],
    checkpoint: '{"epoch": torch.tensor(7), "state_dict": {"module." + k: v for k, v in state.items()}}',
    window: '32,32,32',
  },
  // all of its names begin with model., as those of a wrapper do
  unet: {
    network: 'UNet(3, 2, 3, (4, 8, 16), (2, 2), num_res_units=2)',
    options: ['--channels=4,8,16', '--strides=2,2', '--num_res_units=2'],
    checkpoint: '{"best_acc": numpy.float64(0.8), "state_dict": state}',
    window: '32,32,32',
  },
  swinunetr: {
    network: 'SwinUNETR(in_channels=2, out_channels=3, feature_size=12, depths=(1, 1, 1, 1))',
    options: ['--feature_size=12', '--depths=1,1,1,1'],
    checkpoint: 'state',
    window: '64,32,32',
  },
};

for (const [name, { network, options, checkpoint, window }] of Object.entries(cases))
  test(`MONAI's ${name} comes in from its checkpoint, says of each voxel what MONAI does, and goes back`, {
    skip: withoutOracle,
  }, async () => {
    const stem = join(folder, name);
    const [className] = network.split('(') as [string];
    const expected = askOracle<number[]>(
      `
import json, sys, numpy, torch, nibabel
from monai.networks.nets import ${className}
from monai.inferers import sliding_window_inference
torch.manual_seed(1)
network = ${network}
state = network.state_dict()
torch.save(${checkpoint}, sys.argv[1])
network.eval()
images = numpy.stack([nibabel.load(f"{sys.argv[2]}/img_t{n}.nii.gz").get_fdata(dtype="float32") for n in (1, 2)])
images = torch.tensor((images - images.mean((1, 2, 3), keepdims=True)) / images.std((1, 2, 3), keepdims=True))
with torch.no_grad():
    logits = sliding_window_inference(images[None], (${window}), 1, network, overlap=0.5, mode="gaussian")
print(json.dumps(logits.argmax(1)[0].flatten().tolist()))`,
      `${stem}.pth`,
      join(data, 'case'),
    );
    const helped = toSafetensors(`${stem}.pth`, `${stem}.safetensors`);
    assert.equal(helped.status, 0, helped.stderr);
    const of = ['--model_name', name, '--classes=background,core,rim', '--modalities=t1,t2', ...options];
    const prepared = [`--roi_size=${window}`, '--overlap=0.5', '--nonzero=false', '--orientation=none'];
    const converted = await scanline('weights', 'convert', `${stem}.safetensors`, stem, ...of, ...prepared);
    assert.equal(converted.status, 0, converted.stderr);

    const out = `${stem}-masks`;
    const predicted = await scanline('predict', '--model', stem, '--data', data, '--out', out);
    assert.equal(predicted.status, 0, predicted.stderr);
    const mask = await readNifti(join(out, 'case', 'pred.nii.gz'));
    const agreeing = expected.filter((value, n) => value === mask.data[n]).length;
    assert.ok(new Set(expected).size > 1);
    assert.ok(agreeing / expected.length > 0.9999, `${agreeing} of ${expected.length} voxels agree`);

    const back = `${stem}-back.safetensors`;
    assert.equal((await scanline('weights', 'convert', stem, back)).status, 0);
    const [given, returned] = [await readSafetensors(`${stem}.safetensors`), await readSafetensors(back)];
    const own = [...given].map(([key, value]) => [key.replace(/^module\./, ''), value] as const);
    assert.deepEqual(new Map([...returned].sort()), new Map(own.sort()));
  });

test('modalities that are not as many as the channels of the weights are refused', {
  skip: withoutOracle,
}, async () => {
  const { status, stderr } = await scanline(
    ...['weights', 'convert', join(folder, 'unet.safetensors'), join(folder, 'wrong'), '--model_name=unet'],
    ...['--channels=4,8,16', '--strides=2,2', '--num_res_units=2', '--classes=a,b,c', '--modalities=t1,t2,flair'],
  );
  assert.equal(status, 1);
  assert.match(stderr, /the weights take 2 channels; there are 3 modalities: t1, t2, flair\./);
});
