// The page on which one scrolls through predicted volumes: what it lists, that it needs nothing else, and what a browser draws of it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { VolumeReport } from '../../../lib/operations/volume-report';
import { encodeNifti } from '../../../training/data/volumes/nifti';
import { temporaryFolder } from '../../training/temporary-folder';

const BROWSER = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

const GRID = { shape: [24, 24, 24], affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] } as const;
const VOXELS = 24 ** 3;

/** A grey volume whose mask has one value throughout. */
async function reported(subject: string, value: number, volumes = { tumour: 1.234 }) {
  const image = await encodeNifti(
    new Uint8Array(VOXELS).map((_, n) => 100 + (n % 24)),
    GRID,
  );
  const prediction = await encodeNifti(new Int16Array(VOXELS).fill(value), GRID);
  return { subject, image, prediction, volumes };
}

const reportIn = (folder: string) =>
  new VolumeReport({
    folder,
    title: 'unet: best_model_3',
    classes: [{ name: 'tumour', value: 2 }],
    history: [
      { epoch: 1, train_loss: 2, valid_loss: 1.5, valid_dice: 0.4, valid_iou: 0.25 },
      { epoch: 2, train_loss: 1, valid_loss: 1.1, valid_dice: 0.6, valid_iou: 0.43 },
    ],
  });

test('the page lists each subject with its millilitres, and its scripts lie beside it', async () => {
  const folder = temporaryFolder();
  const report = reportIn(folder);
  report.add(await reported('first', 2));
  report.add(await reported('<script>', 2, { tumour: 0.5 }));
  const page = readFileSync(report.write(), 'utf8');
  assert.match(page, /<button data-script="1\.js">first<\/button><\/td><td>1\.23<\/td>/);
  assert.match(page, /<button data-script="2\.js">&#60;script&#62;<\/button><\/td><td>0\.50<\/td>/);
  assert.deepEqual(readdirSync(join(folder, 'report')), ['1.js', '2.js', 'niivue.js']);
  assert.match(page, />Mean Dice and IoU</);
  const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address as string);
  assert.deepEqual(addresses, ['report/niivue.js']);
  assert.ok(existsSync(join(folder, addresses[0] as string)));
});

/** The share of a page's pixels that are as orange as the first class's colour over grey. */
async function orange(page: string): Promise<number> {
  const picture = join(temporaryFolder(), 'page.png');
  const drawing = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
  const shot = ['--window-size=1200,900', '--virtual-time-budget=15000', `--screenshot=${picture}`];
  const safe = ['--headless', '--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND'];
  execFileSync(BROWSER as string, [...safe, ...drawing, ...shot, pathToFileURL(page).href], { stdio: 'ignore' });
  const { data, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let count = 0;
  for (let n = 0; n < data.length; n += 3) if ((data[n] as number) - (data[n + 2] as number) > 60) count++;
  return count / (info.width * info.height);
}

test('a browser without a network draws the volume with the colour of its class over it', {
  skip: BROWSER === undefined && 'there is no chromium or Chrome here',
}, async () => {
  const [masked, bare] = [reportIn(temporaryFolder()), reportIn(temporaryFolder())];
  masked.add(await reported('masked', 2));
  bare.add(await reported('bare', 0));
  const [withMask, without] = [await orange(masked.write()), await orange(bare.write())];
  assert.ok(withMask > 0.1, `${withMask} of the page is orange`);
  assert.ok(without < 0.01, `${without} of the page is orange without a mask`);
});
