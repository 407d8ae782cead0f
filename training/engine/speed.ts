// How fast an epoch goes, and how much of it is waiting for images.

export interface SpeedReport {
  readonly millisecondsPerStep: number;
  readonly imagesPerSecond: number;
  /** Share of the time in which the step waited for images, 0 to 1. */
  readonly waiting: number;
}

/** Means over an epoch. Its first step is left out once there is another: it may have compiled the graph. */
export class Speed {
  private steps = 0;
  private images = 0;
  private waited = 0;
  private start = performance.now();

  /** The items, the time that each is waited for counted. */
  async *watch<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const before = performance.now();
        const { value, done } = await iterator.next();
        this.waited += performance.now() - before;
        if (done) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  step(images: number): void {
    this.steps++;
    this.images += images;
    if (this.steps === 1) this.afterFirst = { time: performance.now(), waited: this.waited, images: this.images };
  }
  private afterFirst = { time: 0, waited: 0, images: 0 };

  report(): SpeedReport {
    const skip = this.steps > 1;
    const { time, waited, images } = skip ? this.afterFirst : { time: this.start, waited: 0, images: 0 };
    const elapsed = Math.max(performance.now() - time, 1e-6);
    return {
      millisecondsPerStep: elapsed / Math.max(1, this.steps - (skip ? 1 : 0)),
      imagesPerSecond: ((this.images - images) / elapsed) * 1000,
      waiting: Math.min(1, (this.waited - waited) / elapsed),
    };
  }
}
