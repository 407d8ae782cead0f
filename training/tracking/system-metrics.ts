// What the machine does while a training runs, under the names that MLflow gives to system metrics.
import { cpus, freemem, totalmem } from 'node:os';

interface CpuTimes {
  readonly busy: number;
  readonly all: number;
}

function cpuTimes(): CpuTimes {
  const times = cpus().map(({ times: { idle, ...busy } }) => ({
    idle,
    busy: Object.values(busy).reduce((a, b) => a + b),
  }));
  const busy = times.reduce((sum, time) => sum + time.busy, 0);
  return { busy, all: busy + times.reduce((sum, { idle }) => sum + idle, 0) };
}

/** Measures from one call of `report` to the next. */
export class SystemMetrics {
  private last = cpuTimes();

  report(): Readonly<Record<string, number>> {
    const now = cpuTimes();
    const share = (now.busy - this.last.busy) / Math.max(1, now.all - this.last.all);
    this.last = now;
    const used = totalmem() - freemem();
    return {
      'system/cpu_utilization_percentage': 100 * share,
      'system/system_memory_usage_megabytes': used / 1e6,
      'system/system_memory_usage_percentage': (100 * used) / totalmem(),
      'system/process_memory_megabytes': process.memoryUsage.rss() / 1e6,
    };
  }
}
