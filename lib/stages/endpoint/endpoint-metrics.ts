// What CloudWatch knows of an endpoint, and alarms on it: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
import { Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type CreateAlarmOptions,
  Metric,
  type MetricOptions,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Grant, type IGrantable } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { bothCases } from '../access/endpoint-permissions';

/** Requests, latencies and queues. */
const REQUESTS = 'AWS/SageMaker';

/** What the instances are busy with. */
const INSTANCES = '/aws/sagemaker/Endpoints';

/** Of which variant a metric is, and how it is drawn. */
export interface EndpointMetricOptions extends MetricOptions {
  /** @default the first production variant */
  readonly variantName?: string;
}

/** When an alarm goes off. */
export interface EndpointAlarmOptions extends Partial<CreateAlarmOptions> {
  /** @default the first production variant */
  readonly variantName?: string;
  /** Of the metric. @default a minute */
  readonly period?: Duration;
}

/** An endpoint that is named: who may ask it, its metrics, and its alarms. */
export abstract class EndpointMetrics extends Construct {
  abstract readonly endpointName: string;
  protected abstract readonly firstVariant: string;

  get endpointArn(): string {
    return Stack.of(this).formatArn({ service: 'sagemaker', resource: 'endpoint', resourceName: this.endpointName });
  }

  /** Allows asking it, and reading the answer as it comes. */
  grantInvoke(grantee: IGrantable): Grant {
    const actions = ['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointWithResponseStream'];
    return Grant.addToPrincipal({ grantee, actions, resourceArns: this.arns() });
  }

  /** Allows putting a request, which lies in S3, into its queue. The request and the answer need grants of their bucket. */
  grantInvokeAsync(grantee: IGrantable): Grant {
    return Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:InvokeEndpointAsync'],
      resourceArns: this.arns(),
    });
  }

  /** As it is written, and in lower case, as SageMaker writes names in ARNs; IAM tells them apart. */
  private arns(): string[] {
    return bothCases(this.endpointName).map((resourceName) =>
      Stack.of(this).formatArn({ service: 'sagemaker', resource: 'endpoint', resourceName }),
    );
  }

  /** Any metric of a variant that AWS/SageMaker has. @default of options: the sum of 5 minutes */
  metric(metricName: string, options: EndpointMetricOptions = {}): Metric {
    return this.ofVariant(REQUESTS, metricName, Stats.SUM, options);
  }

  /** Requests. */
  metricInvocations(options?: EndpointMetricOptions): Metric {
    return this.metric('Invocations', options);
  }

  /** Requests to each instance. */
  metricInvocationsPerInstance(options?: EndpointMetricOptions): Metric {
    return this.metric('InvocationsPerInstance', options);
  }

  /** Requests that were answered with 4xx; the average is their share. */
  metricInvocation4xxErrors(options?: EndpointMetricOptions): Metric {
    return this.metric('Invocation4XXErrors', options);
  }

  /** Requests that were answered with 5xx; the average is their share. */
  metricInvocation5xxErrors(options?: EndpointMetricOptions): Metric {
    return this.metric('Invocation5XXErrors', options);
  }

  /** Requests for which the container gave no good answer. */
  metricInvocationModelErrors(options?: EndpointMetricOptions): Metric {
    return this.metric('InvocationModelErrors', options);
  }

  /** Microseconds that the container took. @default of options: the 99th percentile of 5 minutes */
  metricModelLatency(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(REQUESTS, 'ModelLatency', Stats.p(99), options);
  }

  /** Microseconds that SageMaker took beside the container. @default of options: the 99th percentile of 5 minutes */
  metricOverheadLatency(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(REQUESTS, 'OverheadLatency', Stats.p(99), options);
  }

  /** Microseconds that a cold start of a serverless variant took. @default of options: the average of 5 minutes */
  metricModelSetupTime(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(REQUESTS, 'ModelSetupTime', Stats.AVERAGE, options);
  }

  /** Requests under way at once. @default of options: the most in 5 minutes */
  metricConcurrentRequests(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(REQUESTS, 'ConcurrentRequestsPerModel', Stats.MAXIMUM, options);
  }

  /** Share of the provisioned concurrency of a serverless variant that is used. @default of options: the most in 5 minutes */
  metricProvisionedConcurrencyUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(REQUESTS, 'ServerlessProvisionedConcurrencyUtilization', Stats.MAXIMUM, options);
  }

  /** Per cent, of all cores together: 400 at most with four. @default of options: the average of 5 minutes */
  metricCpuUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(INSTANCES, 'CPUUtilization', Stats.AVERAGE, options);
  }

  /** Per cent. @default of options: the average of 5 minutes */
  metricMemoryUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(INSTANCES, 'MemoryUtilization', Stats.AVERAGE, options);
  }

  /** Per cent, of all GPUs together: 400 at most with four. @default of options: the average of 5 minutes */
  metricGpuUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(INSTANCES, 'GPUUtilization', Stats.AVERAGE, options);
  }

  /** Per cent, of all GPUs together. @default of options: the average of 5 minutes */
  metricGpuMemoryUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(INSTANCES, 'GPUMemoryUtilization', Stats.AVERAGE, options);
  }

  /** Per cent. @default of options: the average of 5 minutes */
  metricDiskUtilization(options?: EndpointMetricOptions): Metric {
    return this.ofVariant(INSTANCES, 'DiskUtilization', Stats.AVERAGE, options);
  }

  /** Asynchronous requests that wait or are under way. @default of options: the most in 5 minutes */
  metricBacklog(options?: MetricOptions): Metric {
    return this.ofEndpoint('ApproximateBacklogSize', Stats.MAXIMUM, options);
  }

  /** The same for each instance. @default of options: the average of 5 minutes */
  metricBacklogPerInstance(options?: MetricOptions): Metric {
    return this.ofEndpoint('ApproximateBacklogSizePerInstance', Stats.AVERAGE, options);
  }

  /** Seconds for which the oldest asynchronous request waits. @default of options: the most in 5 minutes */
  metricOldestRequestAge(options?: MetricOptions): Metric {
    return this.ofEndpoint('ApproximateAgeOfOldestRequest', Stats.MAXIMUM, options);
  }

  /** 1 where asynchronous requests wait and there is no instance. @default of options: the most in 5 minutes */
  metricBacklogWithoutCapacity(options?: MetricOptions): Metric {
    return this.ofEndpoint('HasBacklogWithoutCapacity', Stats.MAXIMUM, options);
  }

  /** Asynchronous requests that failed. @default of options: the sum of 5 minutes */
  metricInvocationFailures(options?: MetricOptions): Metric {
    return this.ofEndpoint('InvocationFailures', Stats.SUM, options);
  }

  /** Goes off when the share of requests answered with 5xx is above the threshold. @default of the threshold: 0.01, twice in 2 minutes */
  alarmErrorRate(id: string, options: EndpointAlarmOptions = {}): Alarm {
    const metric = this.metricInvocation5xxErrors({ ...metricOf(options), statistic: Stats.AVERAGE });
    return this.alarm(id, metric, 0.01, 'share of requests answered with 5xx', options);
  }

  /** Goes off when the p99 of the model's latency is above the threshold. @default of the threshold: 10 million microseconds, twice in 2 minutes */
  alarmLatency(id: string, options: EndpointAlarmOptions = {}): Alarm {
    return this.alarm(id, this.metricModelLatency(metricOf(options)), 10_000_000, 'p99 of its latency in µs', options);
  }

  /** Goes off when asynchronous requests fail. @default of the threshold: more than 0, twice in 2 minutes */
  alarmFailures(id: string, options: EndpointAlarmOptions = {}): Alarm {
    const metric = this.metricInvocationFailures({ period: metricOf(options).period });
    return this.alarm(id, metric, 0, 'asynchronous requests that failed', options);
  }

  private alarm(id: string, metric: Metric, threshold: number, what: string, options: EndpointAlarmOptions): Alarm {
    const { variantName: _, period: __, ...given } = options;
    return new Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: 2,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      // no requests, no errors
      treatMissingData: TreatMissingData.NOT_BREACHING,
      alarmDescription: `Endpoint ${this.endpointName}: ${what}`,
      ...given,
    });
  }

  private ofVariant(
    namespace: string,
    metricName: string,
    statistic: string,
    { variantName = this.firstVariant, ...options }: EndpointMetricOptions = {},
  ): Metric {
    const dimensionsMap = { EndpointName: this.endpointName, VariantName: variantName };
    return new Metric({ namespace, metricName, dimensionsMap, statistic, ...options }).attachTo(this);
  }

  private ofEndpoint(metricName: string, statistic: string, options: MetricOptions = {}): Metric {
    const dimensionsMap = { EndpointName: this.endpointName };
    return new Metric({ namespace: REQUESTS, metricName, dimensionsMap, statistic, ...options }).attachTo(this);
  }
}

function metricOf({ variantName, period = Duration.minutes(1) }: EndpointAlarmOptions) {
  return { period, ...(variantName !== undefined && { variantName }) };
}
