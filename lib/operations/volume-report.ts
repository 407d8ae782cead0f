// The report of a prediction of volumes: a page on which one scrolls through each volume with its mask over it. It needs no network: NiiVue
// and the volumes lie beside it, as scripts, for a page that is opened as a file may read nothing else.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COLOURS, type Curve, curves } from './charts';
import { OperationError } from './errors';
import type { EpochRecord } from './report';
import { escapeHtml } from './report-results';

/** A volume, and what was found in it. */
export interface ReportedVolume {
  readonly subject: string;
  /** NIfTI, compressed or not. */
  readonly image: Buffer;
  /** Label values on the grid of the image; NIfTI. */
  readonly prediction: Buffer;
  /** What a person drew; NIfTI. @default none */
  readonly label?: Buffer;
  /** Millilitres of each class but the background. */
  readonly volumes: Readonly<Record<string, number>>;
}

export interface VolumeReportOptions {
  /** Gets report.html, and the folder report. */
  readonly folder: string;
  readonly title: string;
  /** Classes but the background, with the values that stand for them. */
  readonly classes: readonly { readonly name: string; readonly value: number }[];
  /** The training's epochs. */
  readonly history: readonly EpochRecord[];
}

export class VolumeReport {
  /** Of the table, in HTML. */
  private readonly rows: string[] = [];
  private readonly curves: string;
  private readonly scripts: string;

  constructor(private readonly options: VolumeReportOptions) {
    this.scripts = join(options.folder, 'report');
    this.curves = curvesOf(options.history);
    mkdirSync(this.scripts, { recursive: true });
    copyFileSync(niivueScript(), join(this.scripts, 'niivue.js'));
  }

  /** Takes a volume into the report; it is on disk afterwards, not in memory. */
  add({ subject, image, prediction, label, volumes }: ReportedVolume): void {
    const base64 = {
      image: image.toString('base64'),
      prediction: prediction.toString('base64'),
      ...(label && { label: label.toString('base64') }),
    };
    const script = `${this.rows.length + 1}.js`;
    writeFileSync(join(this.scripts, script), `volumeHasLoaded(${JSON.stringify(base64)});\n`);
    const cells = this.options.classes.map(({ name }) => `<td>${(volumes[name] ?? 0).toFixed(2)}</td>`).join('');
    const button = `<button data-script="${script}">${escapeHtml(subject)}</button>`;
    this.rows.push(`<tr><td>${button}</td>${cells}</tr>`);
  }

  /** @returns the page's path */
  write(): string {
    const path = join(this.options.folder, 'report.html');
    writeFileSync(path, this.page());
    return path;
  }

  private page(): string {
    const { title, classes } = this.options;
    const colours = classes.map(({ name, value }, i) => ({ name, value, colour: COLOURS[(i + 1) % COLOURS.length] }));
    const heads = colours
      .map(({ name, colour }) => `<th><i style="background:${colour}"></i>${escapeHtml(name)}, ml</th>`)
      .join('');
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p>${this.rows.length} ${this.rows.length === 1 ? 'volume' : 'volumes'}. Scroll over a plane to go through it, click to move the other two, drag with the right button for contrast.</p>
<main>
<div id="list"><table><tr><th>subject</th>${heads}</tr>
${this.rows.join('\n')}
</table></div>
<div id="view"><div id="controls">
<label>planes <select id="planes"><option value="3">all</option><option value="0">axial</option><option value="1">coronal</option><option value="2">sagittal</option><option value="4">rendered</option></select></label>
<label>over it <select id="overlay"><option value="prediction">the prediction</option><option value="label">the label</option><option value="">nothing</option></select></label>
<label>opacity <input id="opacity" type="range" min="0" max="1" step="0.05" value="0.5"></label>
<span id="state" role="status"></span></div>
<div id="canvas"><canvas id="volume"></canvas></div></div>
</main>
${this.curves}
<script src="report/niivue.js"></script>
<script>
const classes = ${JSON.stringify(colours).replaceAll('<', '\\u003c')};
${PROGRAM}</script>
</body></html>
`;
  }
}

/** How the network learned, where the model tells. */
function curvesOf(history: readonly EpochRecord[]): string {
  const curve = (metric: string): Curve => ({
    name: metric.replace('_', ' '),
    points: history.flatMap((record) =>
      record[metric] === undefined ? [] : [[record.epoch, record[metric]] as const],
    ),
  });
  if (history.length === 0) return '';
  return `<h2>Training</h2><div class="row">${curves('Loss', ['train_loss', 'valid_loss'].map(curve))}
${curves('Mean Dice and IoU', ['valid_dice', 'valid_iou'].map(curve))}</div>`;
}

/** NiiVue as one script; its package names only modules, which a page opened as a file may not load. */
function niivueScript(): string {
  const module = '@niivue/niivue';
  for (const folder of require.resolve.paths(module) ?? []) {
    const script = join(folder, module, 'dist', 'niivue.umd.js');
    if (existsSync(script)) return script;
  }
  throw new OperationError(`the package ${module} is not installed.`, 'run npm install, or give --no-report.');
}

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; color: #212529; margin: 1.5rem; }
  h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; }
  main { display: flex; gap: 1.5rem; align-items: flex-start; flex-wrap: wrap; } .row { display: flex; flex-wrap: wrap; gap: 1rem; }
  #list { max-height: 75vh; overflow: auto; } table { border-collapse: collapse; }
  th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #dee2e6; } th:first-child, td:first-child { text-align: left; }
  th i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
  button { font: inherit; border: 0; background: none; color: #0072b2; cursor: pointer; padding: 0; } button.shown { font-weight: 700; }
  #view { flex: 1 1 480px; min-width: 0; } #controls { display: flex; gap: 1.2rem; flex-wrap: wrap; align-items: center; margin-bottom: .5rem; }
  #canvas { height: 70vh; background: #000; } svg { max-width: 100%; height: auto; }`;

/** Runs in the page. */
const PROGRAM = `
const element = (id) => document.getElementById(id);
const viewer = new niivue.Niivue({ isResizeCanvas: true, backColor: [0, 0, 0, 1], show3Dcrosshair: true, crosshairWidthUnit: 'percent', crosshairWidth: 0.3, crosshairColor: [1, 1, 1, 0.6] });
const say = (text) => { element('state').textContent = text; };
const loaded = new Map();
let shown;

// the colours of the classes, by the values of the masks
const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ['background'] };
for (const { name, value, colour } of classes) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  table.R.push(r); table.G.push(g); table.B.push(b); table.A.push(255); table.I.push(value); table.labels.push(name);
}

// a volume's script calls this
let deliver;
window.volumeHasLoaded = (parts) => deliver(parts);
const read = (script) => new Promise((resolve, reject) => {
  deliver = resolve;
  const tag = document.createElement('script');
  tag.src = 'report/' + script;
  tag.onerror = () => reject(new Error(tag.src + ' is not there'));
  tag.onload = () => tag.remove();
  document.head.append(tag);
});

async function volumeOf(parts, name) {
  const overlay = name !== 'image';
  const options = { base64: parts[name], name: name + '.nii.gz', colormap: 'gray', opacity: overlay ? 0 : 1 };
  const volume = await niivue.NVImage.loadFromBase64(options);
  if (overlay) volume.setColormapLabel(table);
  return volume;
}

function showOverlay() {
  const wanted = element('overlay').value;
  viewer.volumes.forEach((volume, n) => {
    if (n > 0) viewer.setOpacity(n, volume.name.startsWith(wanted || '-') ? Number(element('opacity').value) : 0);
  });
}

async function show(button) {
  const script = button.dataset.script;
  for (const other of document.querySelectorAll('button')) other.classList.toggle('shown', other === button);
  say('reading ' + button.textContent);
  shown = script;
  if (!loaded.has(script)) loaded.set(script, await read(script));
  if (shown !== script) return;
  const parts = loaded.get(script);
  loaded.clear();
  loaded.set(script, parts);
  for (const volume of [...viewer.volumes]) viewer.removeVolume(volume);
  for (const name of ['image', 'prediction', 'label']) if (parts[name]) viewer.addVolume(await volumeOf(parts, name));
  for (const option of element('overlay').options) if (option.value === 'label') option.disabled = !parts.label;
  if (!parts.label && element('overlay').value === 'label') element('overlay').value = 'prediction';
  showOverlay();
  say('');
}

element('planes').onchange = (event) => viewer.setSliceType(Number(event.target.value));
element('overlay').onchange = showOverlay;
element('opacity').oninput = showOverlay;
viewer.attachToCanvas(element('volume')).then(() => {
  viewer.setSliceType(3);
  const buttons = [...document.querySelectorAll('button')];
  for (const button of buttons) button.onclick = () => show(button).catch((error) => say(error.message));
  if (buttons.length > 0) buttons[0].click();
}).catch((error) => say('this browser cannot draw volumes: ' + error.message));
`;
