// What a server says of itself at /metrics, in Prometheus' format: https://prometheus.io/docs/instrumenting/exposition_formats/
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Workers } from './workers';

export class Monitoring {
  private readonly registry = new Registry();
  private readonly latency = new Histogram({
    name: 'scanline_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer, by status',
    labelNames: ['status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [this.registry],
  });
  private readonly instances = new Counter({
    name: 'scanline_instances_total',
    help: 'Images or volumes that were answered',
    registers: [this.registry],
  });
  private readonly batchSize = new Histogram({
    name: 'scanline_batch_size',
    help: 'Instances that ran together',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers: [this.registry],
  });
  private readonly batchDuration = new Histogram({
    name: 'scanline_batch_duration_seconds',
    help: 'Time that the model took for a batch',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  private readonly restarts = new Counter({
    name: 'scanline_worker_restarts_total',
    help: 'Worker processes that ended and were replaced',
    registers: [this.registry],
  });

  constructor(workers: Pick<Workers, 'load' | 'ready'>) {
    this.gauge('scanline_requests_in_progress', 'Requests that wait or are worked on', () => workers.load);
    this.gauge('scanline_workers_ready', 'Worker processes that have loaded the model', () => workers.ready);
    collectDefaultMetrics({ register: this.registry });
  }

  private gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  request(status: number, seconds: number): void {
    this.latency.observe({ status: String(status) }, seconds);
  }

  answered(instances: number): void {
    this.instances.inc(instances);
  }

  batch(size: number, seconds: number): void {
    this.batchSize.observe(size);
    this.batchDuration.observe(seconds);
  }

  workerLost(): void {
    this.restarts.inc();
  }

  /** All of it, as Prometheus reads it. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
