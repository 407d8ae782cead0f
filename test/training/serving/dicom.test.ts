// DICOM images over HTTP: shown in their window and classified, or refused with a reason.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClose } from '../assert-close';
import { askOracle, withoutOracle } from '../oracle';
import { stripes } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';
import { file, messageOf, serveClassifier } from './served-classifier';

const { post, png, classify } = serveClassifier();

/** Writes 32 x 32 grey values as projections that pydicom makes: no place, no spacing. */
const WRITE_DICOM = `
import sys, numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
folder = sys.argv[1]
grey = np.fromfile(f"{folder}/values", "u1").reshape(32, 32)
def write(name, pixels, photometric="MONOCHROME2", **more):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 32, 32, 1, photometric
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    for key, value in more.items(): setattr(d, key, value)
    d.PixelData = pixels.astype("<i2").tobytes()
    d["PixelData"].VR = "OW"
    d.save_as(f"{folder}/{name}.dcm", enforce_file_format=True)
# a window is [c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2] of rescaled values; what lies beyond must not count
low, high = int(grey.min()), int(grey.max())
spot = grey.astype(int) * 2
spot[np.unravel_index(grey.argmax(), grey.shape)] = 30000
write("window", spot, RescaleSlope=0.5, RescaleIntercept=-1000, WindowCenter=(low + high) / 2 + 0.5 - 1000, WindowWidth=high - low + 1)
write("inverted", 255 - grey.astype(int), photometric="MONOCHROME1", WindowCenter=128, WindowWidth=256)
write("range", grey.astype(int) * 3 - 100)
write("frames", np.tile(grey, (2, 1, 1)), NumberOfFrames=2)
write("colour", np.tile(grey[..., None], 3), photometric="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
print("null")`;

test('a DICOM file is shown in its window and classified as the same PNG', { skip: withoutOracle }, async () => {
  const folder = temporaryFolder();
  const values = stripes('along', 1);
  writeFileSync(join(folder, 'values'), values);
  askOracle(WRITE_DICOM, folder);
  const plain = await classify(file(png()), 'image/png');
  for (const name of ['window', 'inverted', 'range']) {
    const { probabilities } = await classify(file(readFileSync(join(folder, `${name}.dcm`))), 'application/dicom');
    assertClose(Object.values(probabilities), Object.values(plain.probabilities), 1e-5, name);
  }
  for (const [name, reason] of [
    ['frames', /several frames/],
    ['colour', /coloured/],
  ] as const) {
    const refused = await post(file(readFileSync(join(folder, `${name}.dcm`))), 'application/dicom');
    assert.equal(refused.status, 400);
    assert.match(await messageOf(refused), reason);
  }
});
