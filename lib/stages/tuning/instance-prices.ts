// What an hour of an instance costs, for budgets that are checked at synth, where no price can be asked for.

/**
 * USD an hour of a training instance, on demand, in us-east-1: AWS's price list
 * (https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current/us-east-1/index.json), as public repositories had
 * recorded it by August 2026. Other regions have other prices.
 */
const PRICES: Readonly<Record<string, number>> = {
  'ml.m5.large': 0.115,
  'ml.m5.xlarge': 0.23,
  'ml.m5.2xlarge': 0.461,
  'ml.m5.4xlarge': 0.922,
  'ml.m5.12xlarge': 2.765,
  'ml.m5.24xlarge': 5.53,
  'ml.c5.xlarge': 0.204,
  'ml.c5.2xlarge': 0.408,
  'ml.c5.4xlarge': 0.816,
  'ml.c5.9xlarge': 1.836,
  'ml.c5.18xlarge': 3.672,
  'ml.g4dn.xlarge': 0.7364,
  'ml.g4dn.2xlarge': 0.94,
  'ml.g4dn.4xlarge': 1.505,
  'ml.g4dn.8xlarge': 2.72,
  'ml.g4dn.12xlarge': 4.89,
  'ml.g4dn.16xlarge': 5.44,
  'ml.g5.xlarge': 1.408,
  'ml.g5.2xlarge': 1.515,
  'ml.g5.4xlarge': 2.03,
  'ml.g5.8xlarge': 3.06,
  'ml.g5.12xlarge': 7.09,
  'ml.g5.16xlarge': 5.12,
  'ml.g5.24xlarge': 10.18,
  'ml.g5.48xlarge': 20.36,
  'ml.g6.xlarge': 1.127,
  'ml.g6.2xlarge': 1.222,
  'ml.g6.4xlarge': 1.654,
  'ml.g6.8xlarge': 2.518,
  'ml.g6.12xlarge': 5.752,
  'ml.g6.16xlarge': 4.246,
  'ml.g6.24xlarge': 8.344,
  'ml.g6.48xlarge': 16.688,
  'ml.g6e.xlarge': 2.61,
  'ml.g6e.2xlarge': 2.8,
  'ml.g6e.4xlarge': 3.76,
  'ml.g6e.8xlarge': 5.661,
  'ml.g6e.12xlarge': 13.12,
  'ml.g6e.24xlarge': 18.83,
  'ml.g6e.48xlarge': 37.66,
  'ml.p3.2xlarge': 3.825,
  'ml.p3.8xlarge': 14.688,
  'ml.p3.16xlarge': 28.152,
  'ml.p4d.24xlarge': 25.251,
  'ml.p5.48xlarge': 63.296,
};

/** Of which the prices are. */
export const PRICED_REGION = 'us-east-1';

export const PRICED_MONTH = 'August 2026';

/** USD an hour in us-east-1; undefined for an instance type that is not listed. */
export function listedPrice(instanceType: string): number | undefined {
  return PRICES[instanceType];
}
