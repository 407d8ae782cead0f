// Some of the mutations of `npm run test:abuse`: whatever is sent is answered or refused with a reason, and no worker ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../../training/serving/server';
import { imageSeeds, type Seed, sendMutations, volumeSeeds } from '../../abuse/mutations';
import { tinyClassifier } from './tiny-classifier';
import { tinySegmenter } from './tiny-segmenter';

const served: Record<string, [model: () => Promise<string>, seeds: () => Promise<Seed[]> | Seed[]]> = {
  classifier: [tinyClassifier, imageSeeds],
  segmenter: [tinySegmenter, volumeSeeds],
};

for (const [what, [model, seeds]] of Object.entries(served)) {
  test(`a ${what} answers or refuses 300 mutations of valid files, and its worker lives on`, async (context) => {
    const server = await startServer({ model: await model(), host: '127.0.0.1', port: 0, maxValues: 2 ** 16 });
    context.after(() => server.close());
    const valid = await seeds();
    for (const { type, bytes } of valid) {
      const headers = { 'content-type': type };
      const answer = await fetch(`${server.url}/invocations`, { method: 'POST', body: new Uint8Array(bytes), headers });
      assert.equal(answer.status, 200, `${type}: ${await answer.text()}`);
    }
    const statuses = await sendMutations(server, valid, 300);
    assert.ok((statuses.get(200) ?? 0) > 0 && (statuses.get(400) ?? 0) > 0, JSON.stringify([...statuses]));
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^scanline_worker_restarts_total 0$/m);
  });
}
