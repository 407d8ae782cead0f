// Artifacts of a run whose MLflow server does not pass them on: put into S3 as moto plays it, where MLflow's own client finds them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { CreateBucketCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { artifactRoot } from '../../../../training/tracking/mlflow/artifact-store';
import { Mlflow } from '../../../../training/tracking/mlflow/mlflow';
import { MOTO_CREDENTIALS, skipMoto, startMoto } from '../../../moto';
import { askOracle } from '../../oracle';
import { temporaryFolder } from '../../temporary-folder';
import { MlflowServer, skipMlflow } from './mlflow-server';

const folder = temporaryFolder();
const model = join(folder, 'best model');
const BUCKET = 'hospital-runs';
const skip = skipMlflow || skipMoto;

before(() => {
  mkdirSync(join(model, 'saved_model'), { recursive: true });
  writeFileSync(join(model, 'label_dict.json'), '{"along": 0}');
  writeFileSync(join(model, 'saved_model', 'saved_model.pb'), Buffer.alloc(6_000_000, 7));
});

/** A server whose runs keep their artifacts at `root`, and S3; both end with the test. */
async function startServers(context: TestContext, root: string): Promise<{ server: MlflowServer; endpoint: string }> {
  const endpoint = await startMoto(context);
  Object.assign(process.env, MOTO_CREDENTIALS);
  const server = new MlflowServer(temporaryFolder(), ['--no-serve-artifacts', '--default-artifact-root', root]);
  await server.start();
  context.after(() => server.stop());
  const s3 = new S3Client({ endpoint, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return { server, endpoint };
}

async function tell(server: MlflowServer, environment: Record<string, string>): Promise<string[]> {
  const lines: string[] = [];
  const tracker = new Mlflow({
    ...{ uri: server.url, experiment: 'stored', runName: 'one', resume: false, parameters: {}, environment },
    ...{ stateFile: join(temporaryFolder(), 'mlflow.json'), line: (text: string) => void lines.push(text) },
  });
  tracker.model(model);
  await tracker.close('FINISHED');
  return lines;
}

test("MLflow's own client finds the files of the model in S3, byte for byte", { skip }, async (context) => {
  const { server, endpoint } = await startServers(context, `s3://${BUCKET}/mlflow`);
  await tell(server, { MLFLOW_S3_ENDPOINT_URL: endpoint });
  process.env.MLFLOW_S3_ENDPOINT_URL = endpoint;
  context.after(() => delete process.env.MLFLOW_S3_ENDPOINT_URL);
  const [run] = server.runs('stored');
  assert.deepEqual(run?.artifacts, ['model/MLmodel', 'model/label_dict.json', 'model/saved_model/saved_model.pb']);
  const download = `
import json, mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
print(json.dumps(mlflow.artifacts.download_artifacts(run_id=sys.argv[2], artifact_path="model/saved_model/saved_model.pb", dst_path=sys.argv[3])))`;
  const path = askOracle<string>(download, server.url, run?.id as string, temporaryFolder());
  assert.deepEqual(readFileSync(path), readFileSync(join(model, 'saved_model', 'saved_model.pb')));
});

test('what MLFLOW_S3_UPLOAD_EXTRA_ARGS says is said of each file', { skip }, async (context) => {
  const { server, endpoint } = await startServers(context, `s3://${BUCKET}/mlflow`);
  const extra = JSON.stringify({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'hospital' });
  await tell(server, { MLFLOW_S3_ENDPOINT_URL: endpoint, MLFLOW_S3_UPLOAD_EXTRA_ARGS: extra });
  process.env.MLFLOW_S3_ENDPOINT_URL = endpoint;
  context.after(() => delete process.env.MLFLOW_S3_ENDPOINT_URL);
  const s3 = new S3Client({ endpoint, forcePathStyle: true });
  const [run] = server.runs('stored');
  const Key = `mlflow/1/${run?.id}/artifacts/model/label_dict.json`;
  const { ServerSideEncryption } = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
  assert.equal(ServerSideEncryption, 'aws:kms');
});

test('a bucket that is not there stops nothing, and is warned of', { skip }, async (context) => {
  const { server, endpoint } = await startServers(context, 's3://another-bucket');
  const lines = await tell(server, { MLFLOW_S3_ENDPOINT_URL: endpoint });
  assert.match(lines.join('\n'), /does not take what it is told \(.*bucket/i);
});

test('of a store that only its own clients write to, it is said that no artifacts are kept', {
  skip,
}, async (context) => {
  const { server } = await startServers(context, join(folder, 'of the server'));
  const lines = await tell(server, {});
  assert.match(
    lines.join('\n'),
    /no artifacts are kept: .*of the server.* is neither in S3 nor passed on by the server/,
  );
  assert.equal(server.runs('stored')[0]?.status, 'FINISHED');
});

const roots: Readonly<Record<string, unknown>> = {
  'mlflow-artifacts:/1/abc/artifacts': { kind: 'server', path: '1/abc/artifacts' },
  'mlflow-artifacts://host:5000/1/abc': { kind: 'server', path: '1/abc' },
  's3://bucket/a/b/': { kind: 's3', bucket: 'bucket', prefix: 'a/b' },
  's3://bucket': { kind: 's3', bucket: 'bucket', prefix: '' },
  'wasbs://container@account/path': undefined,
};

for (const [uri, root] of Object.entries(roots)) {
  test(`the root ${uri} is ${root ? 'understood' : 'not one that files can be put below'}`, () => {
    assert.deepEqual(artifactRoot(uri), root);
  });
}
