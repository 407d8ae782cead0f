// What is counted of predictions: loss, accuracy, precision, recall, F1 and AUC of each class, the confusion matrix.
import { areaUnderRoc } from './roc';

export interface ClassMetrics {
  readonly name: string;
  /** True positives over all that were predicted to be of the class; 0 where none was. */
  readonly precision: number;
  /** True positives over all that are of the class; 0 where none is. */
  readonly recall: number;
  readonly f1: number;
  /** Area under the ROC curve, this class against all others; not a number where all or none are of the class. */
  readonly auc: number;
  /** How many are of the class. */
  readonly support: number;
}

export interface ClassificationMetrics {
  /** Mean cross-entropy, weighted by class where the training is. */
  readonly loss: number;
  readonly accuracy: number;
  /** Mean of the classes' F1. */
  readonly f1: number;
  /** Mean of the classes' AUC, where it exists. */
  readonly auc: number;
  readonly classes: readonly ClassMetrics[];
  /** confusion[actual][predicted], counts */
  readonly confusion: readonly (readonly number[])[];
  readonly count: number;
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i;
  return best;
}

/** Probabilities of classes from their logits, in double precision. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** -log of the probability that the logits give to a class. */
function crossEntropy(logits: readonly number[], label: number): number {
  const largest = Math.max(...logits);
  return (
    Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)) + largest - (logits[label] as number)
  );
}

/** Counts predictions as they come. */
export class ClassificationCounter {
  private readonly confusion: number[][];
  private loss = 0;
  private weight = 0;
  private count = 0;
  /** Probabilities of the classes, sample by sample. */
  private readonly probabilities: number[][] = [];
  private readonly labels: number[] = [];

  constructor(
    private readonly classes: readonly string[],
    private readonly classWeights: readonly number[] = classes.map(() => 1),
  ) {
    this.confusion = classes.map(() => classes.map(() => 0));
  }

  add(logits: readonly number[], label: number): void {
    const row = this.confusion[label] as number[];
    const predicted = argmax(logits);
    row[predicted] = (row[predicted] as number) + 1;
    const weight = this.classWeights[label] as number;
    this.loss += weight * crossEntropy(logits, label);
    this.weight += weight;
    this.count++;
    this.probabilities.push(softmax(logits));
    this.labels.push(label);
  }

  private areaOf(label: number): number {
    return areaUnderRoc(
      this.probabilities.map((row) => row[label] as number),
      this.labels.map((actual) => actual === label),
    );
  }

  result(): ClassificationMetrics {
    const { confusion, classes, count } = this;
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
    const correct = sum(classes.map((_, k) => confusion[k]?.[k] as number));
    const mean = (values: readonly number[]) => ratio(sum(values), values.length);
    const perClass = classes.map((name, k) => {
      const hits = confusion[k]?.[k] as number;
      const support = sum(confusion[k] as number[]);
      const precision = ratio(hits, sum(confusion.map((row) => row[k] as number)));
      const recall = ratio(hits, support);
      const f1 = ratio(2 * precision * recall, precision + recall);
      return { name, precision, recall, f1, auc: this.areaOf(k), support };
    });
    const areas = perClass.map(({ auc }) => auc).filter((auc) => !Number.isNaN(auc));
    return {
      loss: ratio(this.loss, this.weight),
      accuracy: ratio(correct, count),
      f1: mean(perClass.map(({ f1 }) => f1)),
      auc: areas.length === 0 ? Number.NaN : mean(areas),
      classes: perClass,
      confusion,
      count,
    };
  }
}
