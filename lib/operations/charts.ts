// The pictures of a report, as SVG text: curves, confusion matrix, timings, the graph of a definition.
import { instance as graphviz } from '@viz-js/viz';
import { type EChartsCoreOption, init } from 'echarts';
import { branchesOf, dependenciesOf, type StepDefinition } from '../pipeline';

/** Blue and orange of Okabe & Ito's palette, which colour-blind people tell apart (https://jfly.uni-koeln.de/color/). */
export const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7'];

const TEXT = { fontFamily: 'system-ui, sans-serif', fontSize: 12 };

function draw(width: number, height: number, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, color: COLOURS, textStyle: TEXT, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

export interface Curve {
  readonly name: string;
  /** Points of (epoch, value). */
  readonly points: readonly (readonly [number, number])[];
}

/** Values over the epochs of a training. */
export function curves(title: string, lines: readonly Curve[]): string {
  return draw(460, 280, {
    title: { text: title, left: 'center', textStyle: { ...TEXT, fontSize: 14 } },
    legend: { bottom: 0, itemGap: 28 },
    grid: { left: 50, right: 20, top: 36, bottom: 66 },
    xAxis: { type: 'value', name: 'epoch', nameLocation: 'middle', nameGap: 24, min: 1, minInterval: 1 },
    yAxis: { type: 'value', scale: true },
    series: lines.map(({ name, points }) => ({ name, type: 'line', data: points, symbolSize: 6 })),
  });
}

/** Counts of predictions, actual classes down and predicted ones across. */
export function confusionMatrix(classes: readonly string[], counts: readonly (readonly number[])[]): string {
  const size = Math.max(320, 120 + classes.length * 60);
  const cells = counts.flatMap((row, actual) => row.map((count, predicted) => [predicted, actual, count]));
  const largest = Math.max(1, ...counts.flat());
  return draw(size + 40, size, {
    title: { text: 'Confusion matrix', left: 'center', textStyle: { ...TEXT, fontSize: 14 } },
    grid: { left: 90, right: 20, top: 40, bottom: 60 },
    xAxis: {
      type: 'category',
      data: classes,
      name: 'predicted',
      nameLocation: 'middle',
      nameGap: 32,
      splitArea: { show: true },
    },
    yAxis: { type: 'category', data: classes, name: 'actual', nameLocation: 'middle', nameGap: 70, inverse: true },
    visualMap: { show: false, min: 0, max: largest, inRange: { color: ['#ffffff', COLOURS[0]] } },
    series: [
      {
        type: 'heatmap',
        data: cells.map((value) => ({ value, label: { color: (value[2] as number) > largest / 2 ? '#fff' : '#222' } })),
        label: { show: true, fontSize: 14 },
        itemStyle: { borderColor: '#ccc', borderWidth: 1 },
      },
    ],
  });
}

export interface Timing {
  readonly name: string;
  /** Seconds since the execution began. */
  readonly start: number;
  readonly seconds: number;
}

/** When each step ran, and how long. */
export function timings(steps: readonly Timing[]): string {
  return draw(940, 80 + steps.length * 30, {
    title: { text: 'Timings (s)', left: 'center', textStyle: { ...TEXT, fontSize: 14 } },
    grid: { left: 120, right: 50, top: 36, bottom: 30 },
    xAxis: { type: 'value' },
    yAxis: { type: 'category', data: steps.map(({ name }) => name), inverse: true },
    series: [
      { type: 'bar', stack: 'time', data: steps.map(({ start }) => start), itemStyle: { color: 'transparent' } },
      {
        type: 'bar',
        stack: 'time',
        barWidth: 14,
        data: steps.map(({ seconds }) => seconds),
        itemStyle: { color: COLOURS[0] },
        label: { show: true, position: 'right', formatter: ({ value }: { value: number }) => `${value.toFixed(1)} s` },
      },
    ],
  });
}

const STATUS_COLOURS: Readonly<Record<string, string>> = {
  Succeeded: '#d5f0e3',
  Failed: '#f8d7da',
  Executing: '#fff3cd',
};

/** The steps of a definition and what they wait for, coloured by how they went. */
export async function definitionGraph(
  steps: readonly StepDefinition[],
  statuses: ReadonlyMap<string, string>,
): Promise<string> {
  const nodes: { name: string; attributes: Record<string, string> }[] = [];
  const edges: { tail: string; head: string; attributes?: Record<string, string> }[] = [];
  const add = (step: StepDefinition) => {
    const fillcolor = STATUS_COLOURS[statuses.get(step.Name) ?? ''] ?? '#f1f3f5';
    const shape = step.Type === 'Condition' ? 'diamond' : 'box';
    nodes.push({ name: step.Name, attributes: { label: `${step.Name}\n${step.Type}`, shape, fillcolor } });
    for (const dependency of dependenciesOf(step)) edges.push({ tail: dependency, head: step.Name });
    const { ElseSteps = [] } = (step.Arguments ?? {}) as { ElseSteps?: StepDefinition[] };
    for (const branch of branchesOf(step)) {
      add(branch);
      edges.push({
        tail: step.Name,
        head: branch.Name,
        attributes: { label: ElseSteps.includes(branch) ? 'no' : 'yes', style: 'dashed' },
      });
    }
  };
  steps.forEach(add);
  const viz = await graphviz();
  const svg = viz.renderString(
    {
      graphAttributes: { rankdir: 'LR', bgcolor: 'transparent', nodesep: '0.3' },
      nodeAttributes: { style: 'filled,rounded', fontname: 'sans-serif', fontsize: '11', color: '#868e96' },
      edgeAttributes: { fontname: 'sans-serif', fontsize: '10', color: '#868e96' },
      nodes,
      edges,
    },
    { format: 'svg', engine: 'dot' },
  );
  return svg.slice(svg.indexOf('<svg'));
}
