// Runs what waits together: while one batch runs, the next one gathers, so that a lone request never waits for others.

export interface BatcherOptions {
  /** Most inputs of a batch. */
  readonly maxBatch: number;
  /** Milliseconds that the run of a batch may take: batches are kept as small as that needs. */
  readonly latency: number;
}

interface Waiting<Input, Output> {
  readonly input: Input;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

/** How much of the newest measurement goes into the mean. */
const SMOOTHING = 0.2;

export class Batcher<Input, Output> {
  private readonly waiting: Waiting<Input, Output>[] = [];
  private running = false;
  /** Milliseconds of an input in a batch, as measured. */
  private cost = 0;

  constructor(
    private readonly run: (inputs: readonly Input[]) => Promise<readonly Output[]>,
    private readonly options: BatcherOptions,
    /** Told of each batch that has run. */
    private readonly ran: (size: number, seconds: number) => void = () => {},
  ) {}

  add(input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ input, resolve, reject });
      if (!this.running) void this.drain();
    });
  }

  private async drain(): Promise<void> {
    this.running = true;
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.size());
      const begun = performance.now();
      try {
        const outputs = await this.run(batch.map(({ input }) => input));
        for (const [i, { resolve }] of batch.entries()) resolve(outputs[i] as Output);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      const milliseconds = performance.now() - begun;
      this.measure(milliseconds / batch.length);
      this.ran(batch.length, milliseconds / 1000);
    }
    this.running = false;
  }

  /** A power of two: TensorFlow prepares its kernels anew for each size, and so for few of them. */
  private size(): number {
    const { maxBatch, latency } = this.options;
    const affordable = this.cost === 0 ? 1 : Math.max(1, latency / this.cost);
    return 2 ** Math.floor(Math.log2(Math.min(this.waiting.length, maxBatch, affordable)));
  }

  private measure(cost: number): void {
    this.cost = this.cost === 0 ? cost : this.cost + SMOOTHING * (cost - this.cost);
  }
}
