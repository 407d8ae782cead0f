// Event files as TensorBoard reads them: records of TensorFlow's Event message, each with checksums.
import { appendFileSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import protobuf from 'protobufjs';

// Field numbers: tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto of TensorFlow 2.21.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message Event {
    double wall_time = 1;
    int64 step = 2;
    oneof what {
      string file_version = 3;
      bytes graph_def = 4;
      Summary summary = 5;
    }
  }
  message Summary {
    message Image {
      int32 height = 1;
      int32 width = 2;
      int32 colorspace = 3;
      bytes encoded_image_string = 4;
    }
    message Value {
      string tag = 1;
      oneof value {
        float simple_value = 2;
        Image image = 4;
      }
    }
    repeated Value value = 1;
  }`,
  { keepCase: true },
);
const Event = root.lookupType('Event');

/** CRC-32C (RFC 3720, B.4), of which zlib has none. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The checksum of a record (tensorflow/core/lib/hash/crc32c.h, Mask). */
function masked(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const result = Buffer.alloc(4);
  result.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return result;
}

/** Length, its checksum, the data, its checksum: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details */
function record(data: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, masked(length), data, masked(data)]);
}

export interface Image {
  readonly height: number;
  readonly width: number;
  /** PNG or JPEG. */
  readonly encoded: Uint8Array;
}

export type SummaryValue = { readonly tag: string } & ({ readonly simple_value: number } | { readonly image: object });

/** Records that wait in memory before they are written. */
const WAITING = 64;

/** One event file. */
export class EventFile {
  private readonly path: string;
  private waiting: Buffer[] = [];

  /** @param folder gets a file; one of an earlier run stays beside it */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${EventFile.count++}`);
    this.add({ file_version: 'brain.Event:2' });
    this.flush();
  }
  private static count = 0;

  add(
    event: { file_version: string } | { graph_def: Uint8Array } | { step: number; summary: { value: SummaryValue[] } },
  ): void {
    const message = Event.create({ wall_time: Date.now() / 1000, ...event });
    this.waiting.push(record(Event.encode(message).finish()));
    if (this.waiting.length >= WAITING) this.flush();
  }

  flush(): void {
    if (this.waiting.length > 0) appendFileSync(this.path, Buffer.concat(this.waiting));
    this.waiting = [];
  }
}
