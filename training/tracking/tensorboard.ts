// Scalars for TensorBoard, written by TensorFlow itself.
import { tf } from '../native/tensorflow';

export class TensorBoard {
  private readonly writer: ReturnType<typeof tf.node.summaryFileWriter>;

  /** @param folder gets an events file; one of an earlier run stays beside it */
  constructor(folder: string) {
    this.writer = tf.node.summaryFileWriter(folder);
  }

  scalars(step: number, values: Readonly<Record<string, number | undefined>>): void {
    for (const [name, value] of Object.entries(values)) if (value !== undefined) this.writer.scalar(name, value, step);
  }

  flush(): void {
    this.writer.flush();
  }
}
