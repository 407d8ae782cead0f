// The area under the receiver operating characteristic.

/**
 * How often a positive has the higher score than a negative, ties counted as half (Mann & Whitney): the area under the ROC curve, as
 * scikit-learn's roc_auc_score. Not a number where there are only positives, or only negatives.
 *
 * @param scores one for each sample
 * @param positive whether it is a positive, likewise
 */
export function areaUnderRoc(scores: ArrayLike<number>, positive: ArrayLike<boolean>): number {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => (scores[a] as number) - (scores[b] as number));
  let [positives, rankSum] = [0, 0];
  for (let first = 0; first < order.length; ) {
    let last = first;
    while (last + 1 < order.length && scores[order[last + 1] as number] === scores[order[first] as number]) last++;
    // all that are equal share the mean of their ranks, which count from 1
    const rank = (first + last) / 2 + 1;
    for (let i = first; i <= last; i++) {
      if (!positive[order[i] as number]) continue;
      positives++;
      rankSum += rank;
    }
    first = last + 1;
  }
  const negatives = order.length - positives;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}
