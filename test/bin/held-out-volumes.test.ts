// What an endpoint of the local SageMaker says of held-out subjects: of several modalities, and of one that it refuses.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateModelCommand } from '@aws-sdk/client-sagemaker';
import sharp from 'sharp';
import { create } from 'tar';
import { predictHeldOutVolumes } from '../../bin/held-out-volumes';
import { deployModel } from '../../lib/operations/endpoint';
import { writeNifti } from '../../training/data/volumes/nifti';
import { IDENTITY } from '../../training/data/volumes/volume';
import { packageRoot } from '../../training/native/cache';
import { controlPlane, IMAGE, ROLE } from '../lib/local/control-plane';
import { BALL_SHAPE, ball, writeSubject } from '../training/sample-volumes';
import { tinySegmenter } from '../training/serving/tiny-segmenter';
import { temporaryFolder } from '../training/temporary-folder';

test('each volume is told with the millilitres of its label and of the answer, their Dice and a picture; or with what is wrong', async (t) => {
  const serve = join(packageRoot, 'dist', 'containers', 'byoc', 'entrypoints', 'serve.js');
  const { client, runtime, s3, put } = await controlPlane(t, { serve: `exec ${process.execPath} ${serve}` });
  put('s3://bucket/model.tar.gz', '');
  const model = await tinySegmenter(['t1', 'flair']);
  await create({ gzip: true, cwd: model, file: s3.path('s3://bucket/model.tar.gz') }, ['.']);
  const PrimaryContainer = { Image: IMAGE, ModelDataUrl: 's3://bucket/model.tar.gz' };
  await client.send(new CreateModelCommand({ ModelName: 'model', PrimaryContainer, ExecutionRoleArn: ROLE }));
  await deployModel(client, { name: 'e', modelName: 'model', pollEvery: 20 });

  const folder = temporaryFolder();
  const { label } = ball(1);
  const images = ['img_flair', 'img_t1'];
  await writeSubject(join(folder, 'subject_1'), 1, { images, label: label.map((value) => 3 * value) });
  await writeSubject(join(folder, 'subject_2'), 2, { images });
  const broken = ball(2).image.fill(Number.NaN, 0, 5);
  await writeNifti(join(folder, 'subject_2', 'img_t1.nii.gz'), broken, { shape: BALL_SHAPE, affine: IDENTITY });

  const [whole, refused] = await predictHeldOutVolumes(runtime, 'e', folder);
  assert.equal(whole?.problem, undefined);
  assert.deepEqual(
    whole?.classes.map(({ name }) => name),
    ['ball', 'rest'],
  );
  const [ball3, rest] = whole.classes;
  const labelled = label.reduce((sum, value) => sum + value, 0) / 1000;
  assert.ok(Math.abs((ball3?.labelled as number) - labelled) < 1e-9, `${ball3?.labelled}`);
  assert.ok(ball3?.dice !== undefined && ball3.dice >= 0 && ball3.dice <= 1);
  assert.deepEqual({ labelled: rest?.labelled, dice: rest?.dice }, { labelled: 0, dice: undefined });
  // two modalities, the labels and the answer
  const { height = 0 } = await sharp(whole.png).metadata();
  assert.ok(height > 4 * 320, `${height}`);
  assert.deepEqual(refused?.classes, []);
  assert.match(refused?.problem as string, /^not answered: .*values that are NaN or infinite/);
});
