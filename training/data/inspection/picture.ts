// Draws a volume: slices in three planes, each modality, and its labels in colour, as one PNG.
import sharp from 'sharp';
import type { LabelClass } from '../volumes/dataset-json';
import { axisCodes, type Grid, type Labels, type Sample, spacingOf, turned, turnTo } from '../volumes/volume';

/** Pixels of the longer side of a slice. */
const PANEL = 320;
const GAP = 8;
const HEAD = 34;
const LINE = 22;

/** Modalities that are drawn; the others are left out. */
const MOST_CHANNELS = 4;

/** How much of a label's colour covers the image. */
const OPACITY = 0.45;

/** Colours that the colour-blind can tell apart (Okabe and Ito, 2008), for the labels in turn. */
const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [204, 121, 167],
  [213, 94, 0],
  [0, 114, 178],
] as const;

const colourOf = (place: number) => COLOURS[(place - 1) % COLOURS.length] as readonly [number, number, number];

/** A plane of a volume whose axes run to the left, the back and the head: as radiologists look at it. */
interface Plane {
  readonly name: string;
  /** The axes that run to the right and downwards on the page, and the one that runs through it. */
  readonly across: 0 | 1;
  readonly down: 1 | 2;
  readonly through: 0 | 1 | 2;
  /** What lies at the left, right, top and bottom. */
  readonly ends: readonly [string, string, string, string];
}

const PLANES: readonly Plane[] = [
  { name: 'axial', across: 0, down: 1, through: 2, ends: ['R', 'L', 'A', 'P'] },
  { name: 'coronal', across: 0, down: 2, through: 1, ends: ['R', 'L', 'S', 'I'] },
  { name: 'sagittal', across: 1, down: 2, through: 0, ends: ['A', 'P', 'S', 'I'] },
];

/** i to the left, j to the back, k to the feet: across and down on the page. */
const SHOWN = 'LPI';

/** Values of a channel by which its window is found: enough for the percentiles, few enough to be sorted at once. */
const SAMPLED = 2 ** 20;

/** The values that are drawn black and white: half a percent of those that are not 0 lie beyond either. */
export function windowOf(
  { image, channels }: Pick<Sample, 'image' | 'channels'>,
  channel: number,
): { low: number; high: number } {
  const stride = channels * Math.max(1, Math.floor(image.length / channels / SAMPLED));
  const sampled = new Float32Array(Math.ceil(image.length / stride));
  for (let n = 0; n < sampled.length; n++) sampled[n] = image[n * stride + channel] ?? 0;
  const values = sampled.filter((value) => value !== 0 && Number.isFinite(value)).sort();
  const at = (share: number) => values[Math.floor(share * (values.length - 1))] ?? 0;
  return { low: Math.min(at(0.005), 0 < at(0.005) ? 0 : at(0.005)), high: at(0.995) };
}

/** The slice with the most labelled voxels, or the middle one. */
function bestSlice({ shape, label }: Sample, through: 0 | 1 | 2): number {
  const counts = new Float64Array(shape[through]);
  for (let n = 0; label && n < label.length; n++) {
    if (label[n] === 0) continue;
    const place = [Math.floor(n / (shape[1] * shape[2])), Math.floor(n / shape[2]) % shape[1], n % shape[2]][
      through
    ] as number;
    counts[place] = (counts[place] as number) + 1;
  }
  const most = Math.max(...counts);
  return most === 0 ? Math.floor(shape[through] / 2) : counts.indexOf(most);
}

/** What is drawn over a slice. */
interface Overlay {
  readonly labels?: Labels;
  /** Background first: a value's place is its colour. */
  readonly values: readonly number[];
}

interface Panel {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Red, green and blue of the slice with the most labelled voxels; labels over it where there are some to be drawn. */
function draw(sample: Sample, channel: number, plane: Plane, { labels: label, values }: Overlay): Panel {
  const { shape, image, channels } = sample;
  const { low, high } = windowOf(sample, channel);
  const slice = bestSlice(sample, plane.through);
  const [width, height] = [shape[plane.across], shape[plane.down]];
  const pixels = new Uint8Array(width * height * 3);
  const place = [0, 0, 0];
  place[plane.through] = slice;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      place[plane.across] = x;
      place[plane.down] = y;
      const at = ((place[0] as number) * shape[1] + (place[1] as number)) * shape[2] + (place[2] as number);
      const grey =
        Math.min(Math.max(((image[at * channels + channel] as number) - low) / (high - low || 1), 0), 1) * 255;
      const value = label?.[at] ?? 0;
      const colour = value === 0 ? undefined : colourOf(values.indexOf(value));
      for (let c = 0; c < 3; c++)
        pixels[(y * width + x) * 3 + c] = colour ? grey * (1 - OPACITY) + (colour[c] as number) * OPACITY : grey;
    }
  return { pixels, width, height };
}

const escaped = (text: string) => text.replace(/[<>&'"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

const text = (x: number, y: number, content: string, size = 13, anchor = 'start') =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" fill="#eee" stroke="#000" stroke-width="3" paint-order="stroke" text-anchor="${anchor}">${escaped(content)}</text>`;

/** What is written around the slice in a cell: which plane, and which end of the body is where. */
function marks({ name, ends: [left, right, top, bottom] }: Plane, x: number, y: number, what: string): string {
  const middle = PANEL / 2;
  return [
    text(x + 6, y + 16, `${name}${what}`, 12),
    text(x + 4, y + middle + 4, left, 12),
    text(x + PANEL - 4, y + middle + 4, right, 12, 'end'),
    text(x + middle, y + 14, top, 12, 'middle'),
    text(x + middle, y + PANEL - 4, bottom, 12, 'middle'),
  ].join('');
}

function legend(
  label: Labels,
  values: readonly number[],
  classes: readonly LabelClass[] | undefined,
  y: number,
): string {
  return values
    .flatMap((value, place) => {
      if (value === 0) return [];
      const share = (100 * label.filter((other) => other === value).length) / label.length;
      const name = classes?.find((known) => known.value === value)?.name ?? `label ${value}`;
      const [x, top] = [GAP + ((place - 1) % 4) * 250, y + Math.floor((place - 1) / 4) * LINE];
      const square = `<rect x="${x}" y="${top - 11}" width="12" height="12" fill="rgb(${colourOf(place)})"/>`;
      return [square + text(x + 18, top, `${name} (${share.toPrecision(2)}% of the voxels)`)];
    })
    .join('');
}

export function describeGrid({ shape, affine }: Grid): string {
  const spacing = spacingOf(affine).map((length) => Number(length.toPrecision(3)));
  return `${shape.join(' x ')} voxels of ${spacing.join(' x ')} mm, ${axisCodes(affine)}`;
}

export interface PictureOptions {
  readonly title: string;
  readonly modalities: readonly string[];
  readonly classes?: readonly LabelClass[];
  /** What a network says of each voxel, on the grid of the sample; drawn in a row below the labels. @default nothing */
  readonly predicted?: Labels;
}

/**
 * A PNG: in columns the axial, coronal and sagittal slice with the most labelled voxels (the middle one without labels), as radiologists
 * look at them (the patient's right at the left); in rows each modality, and below the first modality with its labels,
 * and with what was predicted.
 */
export async function picture(
  sample: Sample,
  { title, modalities, classes, predicted }: PictureOptions,
): Promise<Buffer> {
  const turn = turnTo(SHOWN, sample.affine);
  const shown = turned(sample, turn);
  const said = predicted && turned({ ...sample, label: predicted }, turn).label;
  const spacing = spacingOf(shown.affine);
  // background first: a value's place is its colour
  const values = [...new Set([0, ...(shown.label ?? []), ...(said ?? [])])].sort((a, b) => a - b);
  const rows: { channel: number; what: string; labels?: Labels }[] = Array.from(
    { length: Math.min(shown.channels, MOST_CHANNELS) },
    (_, channel) => ({ channel, what: `, ${modalities[channel] ?? `channel ${channel}`}` }),
  );
  if (shown.label) rows.push({ channel: 0, what: ', labels', labels: shown.label });
  if (said) rows.push({ channel: 0, what: ', predicted', labels: said });
  const layers: sharp.OverlayOptions[] = [];
  let svg = text(GAP, 22, `${title}: ${describeGrid(sample)}`, 15);
  const longest = Math.max(...shown.shape.map((length, axis) => length * (spacing[axis] as number)));
  for (const [row, { channel, what, labels }] of rows.entries())
    for (const [column, plane] of PLANES.entries()) {
      const { pixels, width, height } = draw(shown, channel, plane, { values, ...(labels && { labels }) });
      const size = (length: number, axis: number) =>
        Math.max(1, Math.round((PANEL * length * (spacing[axis] as number)) / longest));
      const [wide, high] = [size(width, plane.across), size(height, plane.down)];
      const [x, y] = [GAP + column * (PANEL + GAP), HEAD + row * (PANEL + GAP)];
      const input = await sharp(pixels, { raw: { width, height, channels: 3 } })
        .resize(wide, high, { fit: 'fill', kernel: labels ? 'nearest' : 'cubic' })
        .png()
        .toBuffer();
      layers.push({ input, left: x + Math.floor((PANEL - wide) / 2), top: y + Math.floor((PANEL - high) / 2) });
      svg += marks(plane, x, y, what);
    }
  const [width, bottom] = [GAP + 3 * (PANEL + GAP), HEAD + rows.length * (PANEL + GAP)];
  const lines = shown.label ? Math.ceil((values.length - 1) / 4) : 0;
  const height = bottom + lines * LINE + GAP;
  if (shown.label) svg += legend(shown.label, values, classes, bottom + 14);
  const words = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${svg}</svg>`);
  return sharp({ create: { width, height, channels: 3, background: '#000' } })
    .composite([...layers, { input: words, left: 0, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer();
}
