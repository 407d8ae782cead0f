// Products of large matrices by TensorFlow's own kernel for each line on standard input; prints their floating-point operations per second.
// usage: matrix-product.js PRECISION THREADS
import { createInterface } from 'node:readline';
import { matrixProducts } from '../training/benchmark/peak';
import type { Precision } from '../training/compiler/session-config';

async function main([precision, threads]: readonly string[]): Promise<void> {
  const products = matrixProducts({ precision: precision as Precision, threads: Number(threads), gpu: false });
  for await (const _ of createInterface({ input: process.stdin })) process.stdout.write(`${await products.run()}\n`);
}

void main(process.argv.slice(2));
