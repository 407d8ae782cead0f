// Scalars, images and the graph for TensorBoard.
import { EventFile, type Image } from './events';

export class TensorBoard {
  private readonly file: EventFile;

  /** @param folder gets an events file; one of an earlier run stays beside it */
  constructor(folder: string) {
    this.file = new EventFile(folder);
  }

  scalars(step: number, values: Readonly<Record<string, number | undefined>>): void {
    const known = Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined);
    const value = known.map(([tag, number]) => ({ tag, simple_value: number }));
    if (value.length > 0) this.file.add({ step, summary: { value } });
  }

  image(step: number, tag: string, { height, width, encoded }: Image): void {
    const image = { height, width, colorspace: 3, encoded_image_string: encoded };
    this.file.add({ step, summary: { value: [{ tag, image }] } });
  }

  /** @param definition a serialised GraphDef */
  graph(definition: Uint8Array): void {
    this.file.add({ graph_def: definition });
  }

  flush(): void {
    this.file.flush();
  }
}
