// What is counted of segmented volumes: Dice, IoU, precision, recall and surface distances of each class, with MONAI's conventions.
import { averageSurfaceDistance, hausdorffDistance, surfaceDistances } from './surface';

/** Of one class in one volume. */
export interface Overlap {
  /** 2 I / (P + T); not a number where the truth lacks the class. */
  readonly dice: number;
  /** I / (P + T - I); not a number where the truth lacks the class. */
  readonly iou: number;
  /** I / P; 0 where nothing was predicted to be of the class. */
  readonly precision: number;
  /** I / T; not a number where the truth lacks the class. */
  readonly recall: number;
}

/** From the voxels of the intersection, of the prediction and of the truth. */
function overlapOf(intersection: number, predicted: number, actual: number): Overlap {
  if (actual === 0) {
    const precision = predicted === 0 ? Number.NaN : 0;
    return { dice: Number.NaN, iou: Number.NaN, precision, recall: Number.NaN };
  }
  return {
    dice: (2 * intersection) / (predicted + actual),
    iou: intersection / (predicted + actual - intersection),
    precision: predicted === 0 ? 0 : intersection / predicted,
    recall: intersection / actual,
  };
}

/** confusion[actual][predicted], voxels; those whose label is to be ignored are left out. */
export function voxelConfusion(
  predicted: ArrayLike<number>,
  actual: ArrayLike<number>,
  classes: number,
  ignoreIndex?: number,
): number[][] {
  if (predicted.length !== actual.length)
    throw new RangeError(`${predicted.length} voxels were predicted, the truth has ${actual.length}`);
  const counts = new Float64Array(classes * classes);
  for (let i = 0; i < actual.length; i++) {
    const label = actual[i] as number;
    if (label === ignoreIndex) continue;
    const cell = label * classes + (predicted[i] as number);
    counts[cell] = (counts[cell] as number) + 1;
  }
  return Array.from({ length: classes }, (_, k) => Array.from(counts.subarray(k * classes, (k + 1) * classes)));
}

/** How each class overlaps in a volume, as monai.metrics.compute_dice and compute_iou by their defaults. */
export function overlaps(confusion: readonly (readonly number[])[]): Overlap[] {
  return confusion.map((row, k) => {
    const predicted = confusion.reduce((sum, other) => sum + (other[k] as number), 0);
    const actual = row.reduce((sum, count) => sum + count, 0);
    return overlapOf(row[k] as number, predicted, actual);
  });
}

/** A volume that was segmented, and what it should be. */
export interface Segmented {
  /** Label of each voxel, row by row. */
  readonly predicted: ArrayLike<number>;
  readonly actual: ArrayLike<number>;
  /** Voxels along each axis. */
  readonly shape: readonly number[];
  /** Length of a voxel along each axis, mm. @default 1 */
  readonly spacing?: readonly number[];
}

/** Of one class, means over the volumes in which the number exists; not a number where it exists in none. */
export interface SegmentationClassMetrics extends Overlap {
  readonly name: string;
  /** The Hausdorff distance that 95% of each surface keeps, mm. */
  readonly hausdorff95?: number;
  /** The mean distance between the surfaces, both directions, mm. */
  readonly surfaceDistance?: number;
  /** Volumes in which the class is in the truth or the prediction alone: they have no surface distance. */
  readonly unmatched?: number;
}

/** Of all volumes that were counted; distances only where they were asked for. */
export interface SegmentationMetrics {
  /** Mean over the volumes of the mean over the classes that count, as monai.metrics.DiceMetric with the reduction mean. */
  readonly dice: number;
  /** Intersection over union, averaged as dice is. */
  readonly iou: number;
  /** The Hausdorff distance that 95% of each surface keeps, mm, averaged as dice is. */
  readonly hausdorff95?: number;
  /** The mean distance between the surfaces, both directions, mm, averaged as dice is. */
  readonly surfaceDistance?: number;
  /** Of each class, in the order of the logits, the background too. */
  readonly classes: readonly SegmentationClassMetrics[];
  /** confusion[actual][predicted], voxels of all volumes */
  readonly confusion: readonly (readonly number[])[];
  /** Volumes. */
  readonly count: number;
}

/** What counts, and what is counted. */
export interface SegmentationCounterOptions {
  /** Whether class 0 counts in the means over classes. @default false */
  readonly includeBackground?: boolean;
  /** Whether to measure surfaces too: a second or so for each class of a large volume. @default false */
  readonly surfaces?: boolean;
  /** Label of voxels that do not count. @default none */
  readonly ignoreIndex?: number;
}

interface VolumeClass extends Overlap {
  readonly hausdorff95: number;
  readonly surfaceDistance: number;
}

/** The mean of the numbers that exist. */
function meanOf(values: readonly number[]): number {
  const known = values.filter((value) => Number.isFinite(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** Counts segmented volumes as they come. */
export class SegmentationCounter {
  private readonly volumes: VolumeClass[][] = [];
  private readonly confusion: number[][];

  constructor(
    private readonly classes: readonly string[],
    private readonly options: SegmentationCounterOptions = {},
  ) {
    this.confusion = classes.map(() => classes.map(() => 0));
  }

  /** The volume's own metrics of each class are returned. */
  add({ predicted, actual, shape, spacing }: Segmented): readonly VolumeClass[] {
    const { ignoreIndex, surfaces } = this.options;
    const confusion = voxelConfusion(predicted, actual, this.classes.length, ignoreIndex);
    confusion.forEach((row, i) => {
      row.forEach((count, j) => {
        (this.confusion[i] as number[])[j] = (this.confusion[i]?.[j] as number) + count;
      });
    });
    const kept =
      ignoreIndex === undefined
        ? predicted
        : Int32Array.from(predicted, (label, i) => (actual[i] === ignoreIndex ? ignoreIndex : label));
    const metrics = overlaps(confusion).map((overlap, label) => {
      if (!surfaces || !this.counts(label)) return { ...overlap, hausdorff95: Number.NaN, surfaceDistance: Number.NaN };
      const distances = surfaceDistances(kept, actual, shape, label, spacing);
      return {
        ...overlap,
        hausdorff95: hausdorffDistance(distances),
        surfaceDistance: averageSurfaceDistance(distances),
      };
    });
    this.volumes.push(metrics);
    return metrics;
  }

  private counts(label: number): boolean {
    return (label > 0 || this.options.includeBackground === true) && label !== this.options.ignoreIndex;
  }

  /** The metrics of the volumes so far; not a number where there was none. */
  result(): SegmentationMetrics {
    const { surfaces } = this.options;
    const overall = (of: (metrics: VolumeClass) => number) =>
      meanOf(this.volumes.map((metrics) => meanOf(metrics.filter((_, label) => this.counts(label)).map(of))));
    const perClass = (label: number, of: (metrics: VolumeClass) => number) =>
      meanOf(this.volumes.map((metrics) => of(metrics[label] as VolumeClass)));
    return {
      dice: overall(({ dice }) => dice),
      iou: overall(({ iou }) => iou),
      ...(surfaces && {
        hausdorff95: overall(({ hausdorff95 }) => hausdorff95),
        surfaceDistance: overall(({ surfaceDistance }) => surfaceDistance),
      }),
      classes: this.classes.map((name, label) => ({
        name,
        dice: perClass(label, ({ dice }) => dice),
        iou: perClass(label, ({ iou }) => iou),
        precision: perClass(label, ({ precision }) => precision),
        recall: perClass(label, ({ recall }) => recall),
        ...(surfaces && {
          hausdorff95: perClass(label, ({ hausdorff95 }) => hausdorff95),
          surfaceDistance: perClass(label, ({ surfaceDistance }) => surfaceDistance),
          unmatched: this.volumes.filter((metrics) => metrics[label]?.surfaceDistance === Number.POSITIVE_INFINITY)
            .length,
        }),
      })),
      confusion: this.confusion,
      count: this.volumes.length,
    };
  }
}
