// Inspects a data set of volumes: every defect at once, and what there is.
import { PARTS, type Part, type PartFolders } from '../parts';
import type { LabelClass } from '../volumes/dataset-json';
import { VolumePool } from '../volumes/loader';
import { listSubjects, type Subject } from '../volumes/subjects';
import { axisCodes, spacingOf } from '../volumes/volume';
import type { Inspection } from '../volumes/worker';
import { type DataReport, duplicates, type Finding, inTurn, type Progress, table } from './findings';

interface Inspected extends Inspection {
  readonly subject: Subject;
  readonly part: Part;
}

export interface VolumeCheck {
  readonly modalities?: readonly string[];
  readonly workers: number;
  /** Whether a subject may have nothing labelled. */
  readonly allowEmptyMasks: boolean;
  readonly progress?: Progress;
}

const error = (where: string, problem: string, fix: string): Finding => ({ severity: 'error', where, problem, fix });

const FIXES: readonly (readonly [RegExp, string])[] = [
  [/cannot be read/, 'copy the file again from where it came, or remove the subject.'],
  [/does not lie where/, 'resample it to the grid of the image, or find out which of them belongs to another subject.'],
  [/unknown value/, 'correct the label, or name the value in dataset.json or label_dict.json.'],
  [/no whole numbers/, 'save the label as integers, and resample labels to the nearest voxel.'],
  [/NaN/, 'replace such values before training.'],
];

const fixFor = (problem: string) =>
  FIXES.find(([pattern]) => pattern.test(problem))?.[1] ?? 'mend or remove the subject.';

const nameOf = ({ part, subject }: Inspected) => `${part}/${subject.id}`;

function defectsOf(each: Inspected, { allowEmptyMasks }: VolumeCheck): Finding[] {
  const where = nameOf(each);
  const empty = allowEmptyMasks ? [] : each.doubts;
  return [
    ...each.problems.map((problem) => error(where, problem, fixFor(problem))),
    ...empty.map((doubt) =>
      error(where, doubt, 'label it, or pass --allow-empty-masks where there is nothing to label.'),
    ),
  ];
}

/** What only shows when subjects are compared. */
function defectsBetween(all: readonly Inspected[]): Finding[] {
  const findings: Finding[] = [];
  const read = all.filter(({ grid }) => grid !== undefined);
  const usual = read[0]?.grid?.channels;
  for (const each of read)
    if (each.grid?.channels !== usual)
      findings.push(
        error(
          nameOf(each),
          `it has ${each.grid?.channels} channels, ${nameOf(read[0] as Inspected)} has ${usual}`,
          'all subjects need the same.',
        ),
      );
  for (const [first, again] of duplicates(read)) {
    const leak = first.part !== again.part ? ': what is learnt in one is tested in the other' : '';
    findings.push(error(nameOf(again), `its image is that of ${nameOf(first)}${leak}`, 'remove one of them.'));
  }
  const parts = new Map<string, Part>();
  for (const { subject, part } of all) {
    const other = parts.get(subject.id);
    if (other !== undefined && other !== part)
      findings.push({
        ...{
          severity: 'warning',
          where: `${part}/${subject.id}`,
          problem: `a subject of this name is also in ${other}`,
        },
        fix: 'make sure that they are different people.',
      });
    parts.set(subject.id, other ?? part);
  }
  const inTraining = new Set(
    all.flatMap(({ part, counts }) => (part === 'train' ? (counts ?? []).map(([value]) => value) : [])),
  );
  for (const each of all.filter(({ part }) => part !== 'train')) {
    const unseen = (each.counts ?? []).map(([value]) => value).filter((value) => !inTraining.has(value));
    if (unseen.length > 0 && inTraining.size > 0)
      findings.push(
        error(
          nameOf(each),
          `no training subject has its label ${unseen.join(', ')}`,
          'correct it, or move such a subject to train.',
        ),
      );
  }
  return findings;
}

const short = (value: number) => String(Number(value.toPrecision(3)));

/** `a` where all are equal, else the lowest and the highest. */
function range(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return short(low) === short(high) ? short(low) : `${short(low)}..${short(high)}`;
}

function summarise(all: readonly Inspected[], classes: readonly LabelClass[] | undefined): string[] {
  const values = [...new Set(all.flatMap(({ counts }) => (counts ?? []).map(([value]) => value)))].sort(
    (a, b) => a - b,
  );
  const names = values.map((value) => classes?.find((known) => known.value === value)?.name ?? `label ${value}`);
  const rows = PARTS.flatMap((part) => {
    const members = all.filter((each) => each.part === part);
    const grids = members.flatMap(({ grid }) => (grid ? [grid] : []));
    if (members.length === 0) return [];
    const along = (pick: (grid: (typeof grids)[number]) => readonly number[]) =>
      grids.length === 0
        ? '-'
        : [0, 1, 2].map((axis) => range(grids.map((grid) => pick(grid)[axis] as number))).join(' x ');
    const counts = members.flatMap((member) => [...(member.counts ?? [])]);
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    const shares = values.map((value) => {
      const count = counts.reduce((sum, [other, voxels]) => sum + (other === value ? voxels : 0), 0);
      return total === 0 ? '-' : `${short((100 * count) / total)}%`;
    });
    const codes = [...new Set(grids.map(({ affine }) => axisCodes(affine)))].join(', ');
    const channels = grids.length === 0 ? '-' : range(grids.map((grid) => grid.channels));
    const shapes = along(({ shape }) => shape);
    return [
      [part, String(members.length), channels, shapes, along(({ affine }) => spacingOf(affine)), codes, ...shares],
    ];
  });
  return table(['part', 'subjects', 'channels', 'voxels', 'spacing (mm)', 'axes', ...names], rows);
}

/**
 * Reads every subject and tells everything that is wrong.
 *
 * @throws UserError when there is no training part, or dataset.json cannot be understood
 */
export async function checkVolumes(folders: PartFolders, options: VolumeCheck): Promise<DataReport> {
  const { samples, classes, notes, defects } = listSubjects(folders, options.modalities);
  const subjects = PARTS.flatMap((part) => samples[part].map((subject) => ({ part, subject })));
  const pool = new VolumePool(options.workers);
  try {
    const look = async ({ part, subject }: (typeof subjects)[number]): Promise<Inspected> => ({
      ...(await pool.inspect(subject, classes)),
      ...{ part, subject },
    });
    const present = subjects.filter(({ subject }) => subject.images.length > 0);
    const all = await inTurn(present, options.workers, look, options.progress);
    const findings = [
      ...defects.map(({ where, problem, fix }) => error(where, problem, fix)),
      ...all.flatMap((each) => defectsOf(each, options)),
      ...defectsBetween(all),
    ];
    return { findings, summary: [...notes.map((note) => `note: ${note}`), ...summarise(all, classes)] };
  } finally {
    await pool.close();
  }
}
