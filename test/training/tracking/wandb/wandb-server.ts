// A stand-in for W&B's server: the part of its API that a run needs, as W&B's own Python client 0.31 and JS SDK 0.5 ask for it.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export const ENTITY = 'clinic';
export const KEY = '0123456789abcdef0123456789abcdef01234567';

/** What the server has of a run. */
export interface KeptRun {
  readonly entity: string;
  readonly project: string;
  readonly id: string;
  displayName: string;
  config: Record<string, { readonly value: unknown }>;
  /** Line by line, where each was told to be. */
  readonly history: Record<string, unknown>[];
  summary: Record<string, unknown>;
  exitCode: number | undefined;
}

interface Variables {
  readonly [name: string]: string | undefined;
}

interface FileStream {
  readonly files?: Record<string, { readonly offset: number; readonly content: readonly string[] }>;
  readonly complete?: boolean;
  readonly exitcode?: number;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
}

export class WandbServer {
  readonly runs: KeptRun[] = [];
  /** Answered to the next requests, instead of taking them. */
  readonly refusals: { readonly status: number; readonly body?: unknown }[] = [];
  /** Statuses that were answered, with the place that was asked for. */
  readonly log: string[] = [];
  /** What a proxy answers in its place, where there is one. */
  page: string | undefined;
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** On the same port as before. */
  async start(): Promise<void> {
    this.server = createServer(async (request, response) => {
      const body = await bodyOf(request);
      if (this.page !== undefined) {
        response.end(this.page);
        return;
      }
      const { status, answer } = this.answer(request, body);
      this.log.push(`${status} ${request.url}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => this.server?.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve) ?? resolve(undefined));
    this.server = undefined;
  }

  private answer(request: IncomingMessage, body: string): { status: number; answer: unknown } {
    const { authorization } = request.headers;
    if (request.method === 'PUT') return { status: 200, answer: {} };
    if (authorization !== `Basic ${Buffer.from(`api:${KEY}`).toString('base64')}`)
      return { status: 401, answer: { errors: [{ message: 'user is not logged in' }] } };
    const refusal = this.refusals.shift();
    if (refusal) return { status: refusal.status, answer: refusal.body ?? {} };
    if (request.url === '/graphql') {
      const { query, variables = {} } = JSON.parse(body) as { query: string; variables?: Variables };
      return { status: 200, answer: { data: this.ask(query, variables) } };
    }
    const path = decodeURIComponent(request.url ?? '');
    const [, entity, project, id] = /^\/files\/([^/]+)\/([^/]+)\/([^/]+)\/file_stream$/.exec(path) ?? [];
    const run = this.runs.find((kept) => kept.id === id && kept.project === project && kept.entity === entity);
    if (!run) return { status: 404, answer: {} };
    take(run, JSON.parse(body));
    return { status: 200, answer: {} };
  }

  private ask(query: string, variables: Variables): unknown {
    if (/upsertBucket/.test(query)) return this.upsert(variables);
    if (/viewer/.test(query))
      return { viewer: { id: 'v', entity: ENTITY, username: 'ada', flags: '{}', teams: { edges: [] } } };
    if (/createRunFiles/.test(query)) {
      const names = variables.files as unknown as string[];
      const files = names.map((name) => ({ name, uploadUrl: `${this.url}/upload/${name}` }));
      return { createRunFiles: { runID: variables.run, uploadHeaders: [], files } };
    }
    if (/project\(/.test(query)) return { project: { run: shown(this.runs.find(({ id }) => id === variables.name)) } };
    return {};
  }

  private upsert({ name = '', project = 'uncategorized', entity, displayName, config }: Variables): unknown {
    let run = this.runs.find((kept) => kept.id === name && kept.project === project);
    const inserted = run === undefined;
    run ??= {
      ...{ entity: entity || ENTITY, project, id: name, displayName: name, config: {} },
      ...{ history: [], summary: {}, exitCode: undefined },
    };
    if (inserted) this.runs.push(run);
    if (displayName) run.displayName = displayName;
    if (config) run.config = JSON.parse(config);
    run.exitCode = undefined;
    const owner = { id: 'e', name: run.entity };
    const bucket = {
      ...{ id: `bucket-${name}`, name, displayName: run.displayName, description: null, config: null, sweepName: null },
      ...{ historyLineCount: run.history.length, project: { id: 'p', name: project, entity: owner } },
    };
    return { upsertBucket: { bucket, inserted } };
  }
}

/** A run as those who read it see it. */
function shown(run: KeptRun | undefined): unknown {
  if (!run) return null;
  const state = run.exitCode === undefined ? 'running' : run.exitCode === 0 ? 'finished' : 'failed';
  return {
    ...{ id: `bucket-${run.id}`, projectId: '1', name: run.id, displayName: run.displayName, state, tags: [] },
    ...{ config: JSON.stringify(run.config), summaryMetrics: JSON.stringify(run.summary), systemMetrics: '{}' },
    ...{ createdAt: '2026-01-01T00:00:00', heartbeatAt: '2026-01-01T00:00:00', user: { name: 'Ada', username: 'ada' } },
    ...{ history: run.history.map((line) => JSON.stringify(line)), historyLineCount: run.history.length },
  };
}

/** Lines go where they are told to be; one that is there already is replaced. */
function take(run: KeptRun, { files = {}, complete, exitcode }: FileStream): void {
  const { 'wandb-history.jsonl': history, 'wandb-summary.json': summary } = files;
  for (const [n, line] of (history?.content ?? []).entries())
    run.history[(history?.offset ?? 0) + n] = JSON.parse(line) as Record<string, unknown>;
  const last = summary?.content.at(-1);
  if (last) run.summary = JSON.parse(last) as Record<string, unknown>;
  if (complete) run.exitCode = exitcode;
}
