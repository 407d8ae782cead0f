// Numbers that other programs computed: test/fixtures, each with the script in test/oracle that made it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../training/native/cache';

export function readFixture<Contents>(name: string): Contents {
  return JSON.parse(readFileSync(join(packageRoot, 'test', 'fixtures', name), 'utf8')) as Contents;
}
