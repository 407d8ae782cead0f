// Requests to the server under test, on sockets of their own; what is no answer is told as such, not thrown.
import { type ClientRequest, request } from 'node:http';

export interface Body {
  readonly bytes: Buffer;
  readonly contentType: string;
}

export interface Answer {
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  /** Bytes of the answer's body. */
  readonly length: number;
  readonly seconds: number;
  /** Why no answer came. */
  readonly reason?: string;
}

/** An exchange in progress. */
export interface Exchange {
  readonly request: ClientRequest;
  readonly answer: Promise<Answer>;
}

/** @param limit seconds for the whole exchange */
export function open(url: string, limit: number, body?: Body): Exchange {
  const began = performance.now();
  const headers = body ? { 'content-type': body.contentType, 'content-length': body.bytes.length } : {};
  const outgoing = request(url, { method: body ? 'POST' : 'GET', headers, agent: false });
  const answer = new Promise<Answer>((resolve) => {
    const end = (result: Pick<Answer, 'status' | 'length' | 'reason'>) => {
      clearTimeout(timer);
      resolve({ ...result, seconds: (performance.now() - began) / 1000 });
    };
    const timer = setTimeout(() => {
      end({ status: undefined, length: 0, reason: `no answer within ${limit} s` });
      outgoing.destroy();
    }, limit * 1000);
    outgoing.on('error', ({ message }) => end({ status: undefined, length: 0, reason: message }));
    outgoing.on('response', (response) => {
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      response.on('end', () => end({ status: response.statusCode, length }));
      response.on('error', ({ message }) => end({ status: undefined, length, reason: message }));
    });
  });
  return { request: outgoing, answer };
}

/** Sends a request whole. */
export function send(url: string, limit: number, body?: Body): Promise<Answer> {
  const { request: outgoing, answer } = open(url, limit, body);
  outgoing.end(body?.bytes);
  return answer;
}

export const told = ({ status, reason }: Answer) => String(status ?? reason);
