// Serving against the contract: one server, from its start to SIGTERM, asked what it must answer and what it must refuse.
import { cpSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { extract } from 'tar';
import { freePort } from '../local/models/endpoints';
import type { Findings } from './points';
import { type Answer, type Body, open, send, told } from './requests';
import { baseOf, filesBelow, inSeconds, Run, type Subject, wait } from './subject';

export interface ServingMaterial {
  /** What is in /opt/ml/model: a folder, or a model.tar.gz. @default nothing */
  readonly model?: string | undefined;
  /** A request that is to be answered with 200. @default none, and what needs one is skipped */
  readonly request?: Body | undefined;
}

/** What a server listens on that was not told otherwise. */
const DEFAULT_PORT = 8080;

/** Seconds between looks at a server that is not healthy yet. */
const INTERVAL = 0.1;

/** Requests that come together. */
const TOGETHER = 32;

/** Seconds for a server to take up a request whose body is on its way. */
const TAKEN_UP = 0.3;

const KILLED = 137;

async function prepare(base: string, model: string | undefined): Promise<void> {
  const target = join(base, 'model');
  mkdirSync(target, { recursive: true });
  if (model === undefined) return;
  if (statSync(model).isDirectory()) cpSync(model, target, { recursive: true });
  else await extract({ file: model, cwd: target });
}

/** The server under test. */
class Server {
  constructor(
    readonly url: string,
    readonly run: Run,
    private readonly subject: Subject,
  ) {}

  ping(): Promise<Answer> {
    return send(`${this.url}/ping`, this.subject.limits.ping);
  }

  invoke(body: Body): Promise<Answer> {
    return send(`${this.url}/invocations`, this.subject.limits.invocation, body);
  }

  get limits() {
    return this.subject.limits;
  }
}

/** Waits for the first healthy ping. @returns whether it came */
async function untilHealthy(server: Server, subject: Subject, findings: Findings): Promise<boolean> {
  const { run, limits } = server;
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  // where the machine's own port is in use, who answers there is not the server under test
  const elsewhere = `http://127.0.0.1:${DEFAULT_PORT}/ping`;
  const wasFree = subject.kind === 'process' && (await send(elsewhere, limits.ping)).status === undefined;
  let heard: Answer | undefined;
  while (seconds() < limits.healthy && !run.ended) {
    const answer = await server.ping();
    if (answer.status !== undefined) heard = answer;
    if (answer.status === 200) {
      findings.tell('serving/port', 'pass', 'it answers there');
      findings.tell('serving/healthy', 'pass', `200 after ${inSeconds(seconds())}`);
      return true;
    }
    if (wasFree && heard === undefined && (await send(elsewhere, limits.ping)).status !== undefined) {
      findings.tell('serving/port', 'fail', `it listens on ${DEFAULT_PORT}, not on SAGEMAKER_BIND_TO_PORT`);
      return false;
    }
    await wait(INTERVAL);
  }
  if (heard) findings.tell('serving/port', 'pass', 'it answers there');
  const end = run.ended ? `it ended with ${run.ended.status}; ${run.lastLine()}` : undefined;
  if (!heard && !end) findings.tell('serving/port', 'fail', `nobody answers there; ${run.lastLine()}`);
  const last = heard ? `/ping answered ${told(heard)}` : 'no /ping was answered';
  findings.tell('serving/healthy', 'fail', end ?? `${last} for ${limits.healthy} s`);
  return false;
}

async function checkPing(server: Server, findings: Findings): Promise<void> {
  let slowest = 0;
  for (let i = 0; i < 10; i++) {
    const { status, seconds, reason } = await server.ping();
    if (status !== 200) return findings.tell('serving/ping', 'fail', `ping ${i + 1} of 10: ${status ?? reason}`);
    slowest = Math.max(slowest, seconds);
  }
  findings.tell('serving/ping', 'pass', `10 of 10, the slowest in ${(slowest * 1000).toFixed(0)} ms`);
}

async function checkInvocation(server: Server, request: Body | undefined, findings: Findings): Promise<void> {
  if (request === undefined) return findings.tell('serving/invocations', 'skipped', 'no good request was given');
  const answer = await server.invoke(request);
  const good = answer.status === 200 && answer.length > 0;
  const seen = answer.status === 200 ? `200, ${answer.length} bytes, in ${inSeconds(answer.seconds)}` : told(answer);
  findings.judge('serving/invocations', good, good ? seen : `${seen}; ${server.run.lastLine()}`);
}

/** Requests that are wrong, by what is wrong with them. */
function malformed(request: Body | undefined): ReadonlyMap<string, Body> {
  const contentType = request?.contentType ?? 'application/json';
  // no format begins so, and the same each time
  const noise = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 167 + 89) % 256));
  const half = request?.bytes.subarray(0, Math.floor(request.bytes.length / 2));
  return new Map([
    ['empty', { bytes: Buffer.alloc(0), contentType }],
    ['noise', { bytes: noise, contentType }],
    ['JSON cut off', { bytes: Buffer.from('{"instances": [[1, 2'), contentType: 'application/json' }],
    ['JSON of NaN', { bytes: Buffer.from('{"instances": [NaN]}'), contentType: 'application/json' }],
    ['unknown type', { bytes: noise, contentType: 'application/x-unknown' }],
    ...(half ? [['cut off', { bytes: half, contentType }] as const] : []),
  ]);
}

async function checkMalformed(server: Server, request: Body | undefined, findings: Findings): Promise<void> {
  const seen: string[] = [];
  let holds = true;
  for (const [what, body] of malformed(request)) {
    const answer = await server.invoke(body);
    seen.push(`${what}: ${told(answer)}`);
    holds &&= answer.status !== undefined && answer.status < 500;
  }
  findings.judge('serving/malformed', holds, seen.join(', '));
  const after = await server.ping();
  const ended = server.run.ended ? `the server ended with ${server.run.ended.status}; ${server.run.lastLine()}` : '';
  findings.judge('serving/survives', after.status === 200, ended || `/ping: ${told(after)}`);
}

async function checkLargeBodies(server: Server, request: Body | undefined, findings: Findings): Promise<void> {
  const contentType = request?.contentType ?? 'application/json';
  for (const megabytes of [6, 25] as const) {
    const answer = await server.invoke({ bytes: Buffer.alloc(megabytes * 1e6, ' '), contentType });
    const holds = answer.status !== undefined && answer.status !== 413 && answer.status < 500;
    findings.judge(`serving/body-${megabytes}mb`, holds, `${megabytes} MB of spaces: ${told(answer)}`);
  }
}

/** How often each status came. */
function counted(answers: readonly Answer[]): string {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(told(answer), (counts.get(told(answer)) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} x ${status}`).join(', ');
}

async function checkConcurrency(server: Server, request: Body | undefined, findings: Findings): Promise<void> {
  const body = request ?? { bytes: Buffer.from('{}'), contentType: 'application/json' };
  let inProgress = true;
  const pings: Answer[] = [];
  const ping = async () => {
    while (inProgress) {
      pings.push(await server.ping());
      await wait(INTERVAL);
    }
  };
  const pinging = ping();
  const answers = await Promise.all(Array.from({ length: TOGETHER }, () => server.invoke(body)));
  inProgress = false;
  await pinging;
  const answered = ({ status }: Answer) => status !== undefined && (status < 500 || status === 503);
  findings.judge('serving/concurrent', answers.every(answered), `${TOGETHER} at once: ${counted(answers)}`);
  const healthy = pings.every(({ status }) => status === 200);
  const slowest = Math.max(...pings.map(({ seconds }) => seconds));
  const fast = `${pings.length} pings, the slowest in ${(slowest * 1000).toFixed(0)} ms`;
  findings.judge('serving/ping-under-load', healthy, healthy ? fast : counted(pings));
}

async function checkExecutionParameters(server: Server, findings: Findings): Promise<void> {
  const { status, reason } = await send(`${server.url}/execution-parameters`, server.limits.invocation);
  findings.tell('serving/execution-parameters', status === 200 ? 'pass' : 'hint', String(status ?? reason));
}

/** Sends SIGTERM while half of a request is there. */
async function checkEnd(server: Server, request: Body | undefined, findings: Findings): Promise<void> {
  const { run, limits } = server;
  const exchange = request && open(`${server.url}/invocations`, limits.servingGrace, request);
  const middle = request ? Math.floor(request.bytes.length / 2) : 0;
  exchange?.request.write(request?.bytes.subarray(0, middle));
  await wait(TAKEN_UP);
  const stopping = run.stop(limits.servingGrace);
  await wait(TAKEN_UP);
  exchange?.request.end(request?.bytes.subarray(middle));
  const { status, seconds } = await stopping;
  if (exchange === undefined) findings.tell('serving/drain', 'skipped', 'no good request was given');
  else {
    const answer = await exchange.answer;
    findings.judge('serving/drain', answer.status === 200, `the request in progress: ${told(answer)}`);
  }
  const killed = status === KILLED && seconds >= limits.servingGrace;
  const how = killed
    ? `still ran ${limits.servingGrace} s after SIGTERM`
    : `ended with ${status} after ${inSeconds(seconds)}`;
  findings.judge('serving/sigterm', !killed, how);
}

/** A server of its own, started where it can write nothing but /tmp. */
async function checkReadOnlyRoot(subject: Subject, model: string | undefined, findings: Findings): Promise<void> {
  const point = 'serving/read-only-root';
  if (subject.kind === 'process') return findings.tell(point, 'skipped', 'a process has the root of this machine');
  await prepare(baseOf(subject, 'serve-read-only'), model);
  const port = await freePort();
  const run = new Run(subject, 'serve-read-only', 'serve', {}, { port, readOnlyRoot: true });
  const server = new Server(`http://127.0.0.1:${port}`, run, subject);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let healthy = false;
  while (!healthy && !run.ended && seconds() < subject.limits.healthy) {
    healthy = (await server.ping()).status === 200;
    if (!healthy) await wait(INTERVAL);
  }
  const why = run.ended ? `it ended with ${run.ended.status}; ${run.lastLine()}` : run.lastLine();
  if (healthy) findings.tell(point, 'pass', `healthy after ${inSeconds(seconds())}`);
  else findings.tell(point, 'hint', why);
  await run.stop(subject.limits.servingGrace);
}

export async function checkServing(
  subject: Subject,
  { model, request }: ServingMaterial,
  findings: Findings,
): Promise<void> {
  const base = baseOf(subject, 'serve');
  await prepare(base, model);
  const before = filesBelow(join(base, 'model'));
  const port = await freePort();
  const server = new Server(`http://127.0.0.1:${port}`, new Run(subject, 'serve', 'serve', {}, { port }), subject);
  if (!(await untilHealthy(server, subject, findings))) {
    await server.run.stop(subject.limits.servingGrace);
    return findings.skipRest('serving', 'the server was never healthy');
  }
  await checkPing(server, findings);
  await checkInvocation(server, request, findings);
  await checkConcurrency(server, request, findings);
  await checkExecutionParameters(server, findings);
  await checkLargeBodies(server, request, findings);
  await checkMalformed(server, request, findings);
  if (server.run.ended) return findings.skipRest('serving', 'the server had ended');
  await checkEnd(server, request, findings);
  const after = filesBelow(join(base, 'model'));
  const written = [...after].filter(([path, state]) => before.get(path) !== state).map(([path]) => path);
  const gone = [...before.keys()].filter((path) => !after.has(path));
  const changed = [...written, ...gone];
  findings.judge(
    'serving/model-read-only',
    changed.length === 0,
    changed.length === 0 ? 'nothing in it was changed' : `changed: ${changed.slice(0, 3).join(', ')}`,
  );
  await checkReadOnlyRoot(subject, model, findings);
}
