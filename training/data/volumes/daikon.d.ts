// What is used of daikon, which carries no types.
declare module 'daikon' {
  interface Tag {
    readonly group: number;
    readonly element: number;
    /** Of a sequence: its items, of an item: its elements. */
    readonly value: readonly unknown[] | null;
  }
  interface Image {
    readonly littleEndian: boolean;
    /** A value's list, by the tag's group and element. */
    getTag(group: number, element: number): Tag | undefined;
    /** Unpacked where it is compressed. */
    getRawData(): ArrayBuffer;
    hasPixelData(): boolean;
  }
  export const Series: {
    parserError: Error | null;
    /** null where it cannot be parsed; the reason is then in parserError */
    parseImage(data: DataView): Image | null;
  };
}
