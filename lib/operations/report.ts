// The report of an execution: one HTML page that needs nothing but itself.
import type { StepDefinition } from '../pipeline';
import { type Curve, curves, definitionGraph, type Timing, timings } from './charts';
import { escapeHtml, type Results, renderResults, scoreOf } from './report-results';

/** One epoch of the training, as the trainer's history.json has it. */
export interface EpochRecord {
  readonly epoch: number;
  readonly [metric: string]: number;
}

export interface ReportData {
  readonly pipeline: string;
  readonly executionArn: string;
  readonly status: string;
  readonly startedAt: Date;
  /** The definition, as SageMaker takes it. */
  readonly definition: string;
  /** Status of each step that has begun. */
  readonly statuses: ReadonlyMap<string, string>;
  readonly timings: readonly Timing[];
  readonly history: readonly EpochRecord[];
  readonly results: Results;
}

function curveOf(history: readonly EpochRecord[], metric: string): Curve {
  const points = history.flatMap((record) =>
    record[metric] === undefined ? [] : [[record.epoch, record[metric]] as const],
  );
  return { name: metric.replace('_', ' '), points };
}

/** What the network learned, beside the loss. */
function learned({ history, results }: ReportData): string {
  return results.task === 'classification'
    ? curves('Accuracy', [curveOf(history, 'train_accuracy'), curveOf(history, 'valid_accuracy')])
    : curves('Mean Dice and IoU', [curveOf(history, 'valid_dice'), curveOf(history, 'valid_iou')]);
}

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; color: #212529; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #dee2e6; }
  .facts { color: #495057; } .number { font-size: 2.4rem; font-weight: 600; color: #0072b2; }
  .row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; } svg { max-width: 100%; height: auto; }
  .pictures { align-items: flex-start; }
  table { border-collapse: collapse; } th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #dee2e6; }
  th:first-child, td:first-child { text-align: left; }
  figure { margin: 0; text-align: center; width: 112px; font-size: .85rem; } figure img { width: 112px; image-rendering: pixelated; border: 3px solid; }
  figure.right img { border-color: #009e73; } figure.wrong img { border-color: #d55e00; }
  figure.volume { width: 100%; text-align: left; margin-bottom: 1.5rem; } figure.volume img { width: 100%; border: 0; }
  pre { background: #f8f9fa; padding: 1rem; overflow: auto; font-size: .8rem; }`;

/** The page as HTML. */
export async function renderReport(data: ReportData): Promise<string> {
  const { metric, value, of } = scoreOf(data.results);
  const definition = JSON.parse(data.definition) as { Steps: StepDefinition[] };
  const graph = await definitionGraph(definition.Steps, data.statuses);
  const seconds = Math.max(0, ...data.timings.map(({ start, seconds }) => start + seconds));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(data.pipeline)}: ${value}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(data.pipeline)}</h1>
<p class="facts">${escapeHtml(data.executionArn)}<br>${data.status}, begun ${data.startedAt.toISOString()}, ${seconds.toFixed(0)} s</p>
<p><span class="number">${value}</span> ${metric} on the ${of}</p>
<h2>Pipeline</h2>${graph}
<h2>Training</h2><div class="row">
${curves('Loss', [curveOf(data.history, 'train_loss'), curveOf(data.history, 'valid_loss')])}
${learned(data)}</div>
${renderResults(data.results)}
<h2>Time</h2>${timings(data.timings)}
<h2>Definition</h2><details><summary>as SageMaker takes it</summary><pre>${escapeHtml(JSON.stringify(definition, null, 2))}</pre></details>
</body></html>
`;
}
