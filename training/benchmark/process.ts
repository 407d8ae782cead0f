// The process that measures one precision: it is sent the settings, and sends back what it is at and what it found.
import { type Measurement, measure, type Settings } from './measure';

/** What the process sends. */
export type Message =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'result'; readonly measurement: Measurement }
  | { readonly kind: 'failure'; readonly problem: string; readonly fix?: string };

const send = (message: Message) => new Promise<void>((resolve) => process.send?.(message, () => resolve()));

// who asked is gone, or has the answer
process.once('disconnect', () => process.exit());

process.once('message', async (settings: Settings) => {
  try {
    const measurement = await measure(settings, (text) => void send({ kind: 'progress', text }));
    await send({ kind: 'result', measurement });
  } catch (error) {
    const { problem, fix, stack } = error as { problem?: string; fix?: string; stack: string };
    await send({ kind: 'failure', problem: problem ?? stack, ...(fix !== undefined && { fix }) });
  }
  process.disconnect();
});
