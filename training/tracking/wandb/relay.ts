// Between W&B's JS SDK and its server. The SDK (0.5.1) sends everything once, whatever comes of it, and takes each start for a run's
// first: the relay sends until the server has it, and counts on from what the run has already. It alone knows the key.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Row, Session } from './messages';

export interface RelayOptions {
  readonly session: Pick<Session, 'server' | 'began' | 'sent'>;
  readonly key: string;
  /** What the SDK is given as the key: requests with another one are not its own. */
  readonly pass: string;
  /** What the SDK is told to log, in order; may grow. */
  readonly rows: readonly Row[];
  /** Called with the number of rows that the server has by now. */
  readonly onSent: (rows: number) => void;
  /** Called whenever something did not arrive; what is not refused for ever is sent again. */
  readonly onTrouble: (cause: string) => void;
}

/** Milliseconds that a request may take, and between two tries at first and at most. */
const PATIENCE = 15_000;
const [FIRST_PAUSE, LONGEST_PAUSE] = [500, 10_000];

/** The files of a run as its file stream tells of them, line by line: https://github.com/wandb/wandb/blob/main/core/internal/filestream */
interface FileStream {
  readonly files?: Record<string, { readonly offset: number; readonly content: readonly string[] }>;
  readonly complete?: boolean;
  readonly exitcode?: number;
}

const HISTORY = 'wandb-history.jsonl';
const SUMMARY = 'wandb-summary.json';

interface Answer {
  readonly status: number;
  readonly text: string;
}

const basic = (key: string) => `Basic ${Buffer.from(`api:${key}`).toString('base64')}`;

/** What is refused for what it is, and would be for ever. */
const isRefused = (status: number) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** Not 0, which is no answer at all. */
const isTaken = (status: number) => status > 0 && status < 400;

/** What GraphQL answers with in spite of 200; or somebody else in its place, as a proxy does. */
function graphqlError(text: string): string | undefined {
  try {
    const { errors } = JSON.parse(text) as { errors?: readonly { readonly message?: string }[] };
    return errors?.length ? errors.map(({ message }) => message).join('; ') : undefined;
  } catch {
    return `the answer is not JSON: ${text.slice(0, 200)}`;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export class Relay {
  private readonly server: Server;

  constructor(private readonly options: RelayOptions) {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error: Error) => {
        this.options.onTrouble(error.message);
        response.destroy();
      });
    });
  }

  /** @returns the address for the SDK */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.headers.authorization !== basic(this.options.pass)) {
      response.writeHead(401).end();
      return;
    }
    const body = await bodyOf(request);
    const stream = request.url?.endsWith('/file_stream') ? (JSON.parse(body) as FileStream) : undefined;
    const { status, text } = await this.send(request.url as string, stream ? this.continued(stream) : body);
    const history = stream?.files?.[HISTORY];
    if (history && isTaken(status))
      this.options.onSent(this.options.session.sent + history.offset + history.content.length);
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }

  /** The same with what the server has already counted in, and with the times at which the trainer said it. */
  private continued({ files, ...rest }: FileStream): string {
    const { rows, session } = this.options;
    const timed = (line: string, row = rows.at(-1)) =>
      JSON.stringify({
        ...JSON.parse(line),
        ...(row && { _timestamp: row.time / 1000, _runtime: (row.time - session.began) / 1000 }),
      });
    if (files === undefined) return JSON.stringify(rest);
    const { [HISTORY]: history, [SUMMARY]: summary, ...others } = files;
    return JSON.stringify({
      ...rest,
      files: {
        ...others,
        ...(history && {
          [HISTORY]: {
            offset: session.sent + history.offset,
            content: history.content.map((line, n) => timed(line, rows[history.offset + n])),
          },
        }),
        ...(summary && { [SUMMARY]: { ...summary, content: summary.content.map((line) => timed(line)) } }),
      },
    });
  }

  /** Until the server has it, or refuses it. */
  private async send(path: string, body: string): Promise<Answer> {
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const { status, text } = await this.try(path, body);
      const wrong = isTaken(status) && path === '/graphql' ? graphqlError(text) : undefined;
      if (isTaken(status) && wrong === undefined) return { status, text };
      this.options.onTrouble(wrong ?? `${status || ''} ${text.slice(0, 200)}`.trim());
      if (wrong !== undefined || isRefused(status)) return { status: wrong === undefined ? status : 400, text };
      await wait(pause);
    }
  }

  /** Status 0: there was no answer. */
  private async try(path: string, body: string): Promise<Answer> {
    try {
      const response = await fetch(`${this.options.session.server}${path}`, {
        ...{ method: 'POST', body, signal: AbortSignal.timeout(PATIENCE) },
        headers: { 'content-type': 'application/json', authorization: basic(this.options.key) },
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const { cause, message } = error as Error;
      return { status: 0, text: cause instanceof Error && cause.message ? cause.message : message };
    }
  }
}
