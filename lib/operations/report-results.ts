// What a report says of how good a model is: classes of images, or voxels of volumes.
import { confusionMatrix } from './charts';

export interface ClassResult {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

export interface SamplePrediction {
  readonly file: string;
  /** A PNG or JPEG file's bytes. */
  readonly image: Uint8Array;
  readonly contentType: string;
  readonly actual: string;
  readonly predicted: string;
  readonly probability: number;
}

/** How good a classifier is, and what it says of some images. */
export interface ClassificationResults {
  readonly task: 'classification';
  readonly accuracy: number;
  readonly classes: Readonly<Record<string, ClassResult>>;
  /** counts[actual][predicted] */
  readonly confusion: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly samples: readonly SamplePrediction[];
}

/** Of a class of voxels, means over the volumes; distances in mm. What does not exist is left out. */
export interface RegionResult {
  readonly dice?: number;
  readonly iou?: number;
  readonly precision?: number;
  readonly recall?: number;
  readonly hausdorff95?: number;
  readonly surfaceDistance?: number;
}

/** What an endpoint says of a held-out volume, or why it says nothing. */
export interface SampleVolume {
  readonly name: string;
  /** Of each class but the background: millilitres of its label and of what was predicted, and how they overlap, where it is in the label. */
  readonly classes: readonly {
    readonly name: string;
    readonly labelled: number;
    readonly predicted: number;
    readonly dice?: number;
  }[];
  /** A PNG of slices, with labels and prediction. */
  readonly png?: Uint8Array;
  readonly problem?: string;
}

/** How good a segmenter is, and what it says of some volumes. */
export interface SegmentationResults {
  readonly task: 'segmentation';
  /** Mean over the classes but the background, and the volumes. */
  readonly dice: number;
  readonly volumes: number;
  readonly classes: Readonly<Record<string, RegionResult>>;
  readonly samples: readonly SampleVolume[];
}

export type Results = ClassificationResults | SegmentationResults;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function classTable(classes: ClassificationResults['classes']): string {
  const rows = Object.entries(classes).map(
    ([name, { precision, recall, f1, support }]) =>
      `<tr><td>${escapeHtml(name)}</td><td>${percent(precision)}</td><td>${percent(recall)}</td><td>${percent(f1)}</td><td>${support}</td></tr>`,
  );
  return `<table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>images</th></tr>${rows.join('')}</table>`;
}

function sampleFigure({ image, contentType, actual, predicted, probability }: SamplePrediction): string {
  const source = `data:${contentType};base64,${Buffer.from(image).toString('base64')}`;
  const right = actual === predicted;
  return (
    `<figure class="${right ? 'right' : 'wrong'}"><img src="${source}" alt="${escapeHtml(actual)}">` +
    `<figcaption>${right ? '✓' : '✗'} ${escapeHtml(predicted)}<br>${percent(probability)}<br><small>label: ${escapeHtml(actual)}</small></figcaption></figure>`
  );
}

/** How many images it was evaluated on. */
function imagesOf({ classes }: ClassificationResults): number {
  return Object.values(classes).reduce((sum, { support }) => sum + support, 0);
}

/** The number that the gate asks for, for people. */
export function scoreOf(results: Results): { readonly metric: string; readonly value: string; readonly of: string } {
  return results.task === 'classification'
    ? { metric: 'accuracy', value: percent(results.accuracy), of: `${imagesOf(results)} held-out images` }
    : { metric: 'mean Dice', value: results.dice.toFixed(3), of: `${results.volumes} held-out volumes` };
}

function regionTable({ classes }: SegmentationResults): string {
  const number = (value: number | undefined, digits: number) => `<td>${value?.toFixed(digits) ?? '–'}</td>`;
  const rows = Object.entries(classes).map(
    ([name, { dice, iou, precision, recall, hausdorff95, surfaceDistance }]) =>
      `<tr><td>${escapeHtml(name)}</td>${[dice, iou, precision, recall].map((value) => number(value, 3)).join('')}${[hausdorff95, surfaceDistance].map((value) => number(value, 2)).join('')}</tr>`,
  );
  return `<table><tr><th>class</th><th>Dice</th><th>IoU</th><th>precision</th><th>recall</th><th>Hausdorff 95 (mm)</th><th>surface distance (mm)</th></tr>${rows.join('')}</table>`;
}

function volumeFigure({ name, classes, png, problem }: SampleVolume): string {
  const said = classes.map(
    ({ name: className, labelled, predicted, dice }) =>
      `${escapeHtml(className)}: Dice ${dice?.toFixed(3) ?? '–'}, ${predicted.toFixed(1)} ml predicted, ${labelled.toFixed(1)} ml labelled`,
  );
  const source = png && `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
  const image = source ? `<img src="${source}" alt="slices of ${escapeHtml(name)} with labels and prediction">` : '';
  const caption = [`<b>${escapeHtml(name)}</b>`, ...said, ...(problem === undefined ? [] : [escapeHtml(problem)])];
  return `<figure class="volume">${image}<figcaption>${caption.join('<br>')}</figcaption></figure>`;
}

/** The sections on the evaluation and the predictions. */
export function renderResults(results: Results): string {
  if (results.task === 'segmentation')
    return `<h2>Evaluation on ${results.volumes} held-out volumes</h2>${regionTable(results)}
<h2>Predictions of the endpoint: image, labels, predicted</h2>${results.samples.map(volumeFigure).join('\n')}`;
  const { confusion, classes, samples } = results;
  const names = Object.keys(confusion);
  const counts = names.map((actual) => names.map((predicted) => confusion[actual]?.[predicted] ?? 0));
  return `<h2>Evaluation on held-out images</h2><div class="row">${confusionMatrix(names, counts)}${classTable(classes)}</div>
<h2>Predictions of the endpoint</h2><div class="row pictures">${samples.map(sampleFigure).join('\n')}</div>`;
}
