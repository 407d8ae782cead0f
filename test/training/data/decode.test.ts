// Decoding: the raw pixel values of PNG and JPEG, grey and coloured, of 8 and 16 bits, at the wanted size.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { decodeImage, probeChannels } from '../../../training/data/decode';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const GREY = [0, 10, 20, 30, 128, 255];
const DEEP = [0, 256, 1000, 4096, 40000, 65535];
const COLOURS = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30, 200, 100, 50, 255, 255, 255];
const SIZE = { height: 2, width: 3 };

const raw = (channels: 1 | 3 | 4) => ({ raw: { ...SIZE, channels } });
const grey = () => sharp(Uint8Array.from(GREY), raw(1)).toColourspace('b-w');
const deepGrey = () => sharp(Uint16Array.from(DEEP), raw(1)).toColourspace('grey16');
const colour = () => sharp(Uint8Array.from(COLOURS), raw(3));
const deepColour = () =>
  sharp(
    Uint16Array.from(COLOURS, (value) => value * 257),
    raw(3),
  ).toColourspace('rgb16');

const pixels = async (image: sharp.Sharp, channels: 1 | 3, size = SIZE) =>
  Array.from(await decodeImage(await image.toBuffer(), { ...size, channels }));

test('a grey PNG of 8 bits gives its values', async () => {
  assert.deepEqual(await pixels(grey().png(), 1), GREY);
});

test('a grey PNG of 16 bits gives its values, up to 65535', async () => {
  assert.deepEqual(await pixels(deepGrey().png(), 1), DEEP);
});

test('a coloured PNG of 8 bits gives red, green and blue of each pixel', async () => {
  assert.deepEqual(await pixels(colour().png(), 3), COLOURS);
});

test('a coloured PNG of 16 bits gives its values', async () => {
  assert.deepEqual(
    await pixels(deepColour().png(), 3),
    COLOURS.map((value) => value * 257),
  );
});

test('a PNG with a palette gives the colours that it stands for', async () => {
  assert.deepEqual(await pixels(colour().png({ palette: true, dither: 0, quality: 100 }), 3), COLOURS);
});

test('a grey image gives the same value in three channels', async () => {
  assert.deepEqual(
    await pixels(grey().png(), 3),
    GREY.flatMap((value) => [value, value, value]),
  );
});

test('a coloured image made grey is as bright as its colours', async () => {
  const [red, green, blue, , , white] = await pixels(colour().png(), 1);
  assert.ok((green as number) > (red as number) && (red as number) > (blue as number), `${[red, green, blue]}`);
  assert.equal(white, 255);
});

test('transparency is dropped, not blended', async () => {
  const values = COLOURS.flatMap((value, i) => (i % 3 === 2 ? [value, 0] : [value]));
  assert.deepEqual(await pixels(sharp(Uint8Array.from(values), raw(4)).png(), 3), COLOURS);
});

test('JPEG gives its values to what its compression leaves', async () => {
  const flat = (value: number) =>
    sharp({ create: { width: 16, height: 16, channels: 3, background: { r: value, g: value, b: value } } });
  for (const value of [0, 77, 255]) {
    const decoded = await pixels(flat(value).jpeg({ quality: 100 }), 3, { height: 16, width: 16 });
    assert.ok(
      decoded.every((pixel) => Math.abs(pixel - value) <= 1),
      `${value} became ${new Set(decoded)}`,
    );
  }
});

test('a grey JPEG is read as one channel', async () => {
  const image = sharp(new Uint8Array(64).fill(90), { raw: { width: 8, height: 8, channels: 1 } }).toColourspace('b-w');
  const decoded = await pixels(image.jpeg({ quality: 100 }), 1, { height: 8, width: 8 });
  assert.deepEqual(decoded, Array(64).fill(90));
});

test('the EXIF orientation is followed', async () => {
  // orientation 3: upside down and mirrored, turned by 180 degrees
  const values = Uint8Array.from({ length: 256 }, (_, i) => (i < 128 ? 0 : 255));
  const image = sharp(values, { raw: { width: 16, height: 16, channels: 1 } });
  const decoded = await pixels(image.jpeg({ quality: 100 }).withMetadata({ orientation: 3 }), 1, {
    height: 16,
    width: 16,
  });
  assert.ok((decoded[0] as number) > 250 && (decoded[255] as number) < 5, `${decoded[0]}, ${decoded[255]}`);
});

test('an image is stretched to the size, whatever its own ratio', async () => {
  const bands = sharp(
    Uint8Array.from({ length: 128 }, (_, i) => (i % 32 < 12 ? 50 : i % 32 < 20 ? 100 : 200)),
    { raw: { width: 32, height: 4, channels: 1 } },
  );
  const decoded = await pixels(bands.toColourspace('b-w').png(), 1, { height: 3, width: 4 });
  assert.equal(decoded.length, 12);
  for (const row of [0, 1, 2]) assert.deepEqual([decoded[row * 4], decoded[row * 4 + 3]], [50, 200], `row ${row}`);
});

test('a file gives what its bytes give', async () => {
  const path = join(folder, 'deep.png');
  await deepGrey().png().toFile(path);
  const size = { ...SIZE, channels: 1 };
  assert.deepEqual(await decodeImage(path, size), await decodeImage(readFileSync(path), size));
});

test('an empty file is told as what it is', async () => {
  const path = join(temporaryFolder(), 'empty.png');
  writeFileSync(path, '');
  const empty = { message: 'it is empty' };
  await assert.rejects(decodeImage(path, { height: 8, width: 8, channels: 1 }), empty);
  await assert.rejects(decodeImage(Buffer.alloc(0), { height: 8, width: 8, channels: 1 }), empty);
});

test('what is no image, and an image that was cut off, are errors with the reason', async () => {
  const text = join(folder, 'text.png');
  writeFileSync(text, 'not an image');
  await assert.rejects(decodeImage(text, { ...SIZE, channels: 1 }), /unsupported image format/);
  const noise = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i * 7919) % 256);
  const whole = sharp(noise, { raw: { width: 64, height: 64, channels: 1 } });
  for (const [kind, bytes] of [
    ['PNG', await whole.clone().png().toBuffer()],
    ['JPEG', await whole.clone().jpeg().toBuffer()],
  ] as const) {
    const cut = bytes.subarray(0, Math.floor(bytes.length / 2));
    await assert.rejects(decodeImage(cut, { height: 64, width: 64, channels: 1 }), Error, kind);
  }
});

test('images are grey if all are, and coloured if one is', async () => {
  const [one, two, three] = ['one.png', 'two.png', 'three.jpg'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await grey().png().toFile(one);
  await deepGrey().png().toFile(two);
  await colour().jpeg().toFile(three);
  assert.equal(await probeChannels([one, two]), 1);
  assert.equal(await probeChannels([one, three, two]), 3);
  assert.equal(await probeChannels([join(folder, 'text.png'), one]), 1);
});
