// The process that speaks to W&B for the trainer, with W&B's own SDK, which may hang, throw from a listener or end its process on a signal.
import { randomBytes } from 'node:crypto';
import type { FromProcess, Row, Session, ToProcess } from './messages';
import { Relay } from './relay';

/** Milliseconds for what is still to be sent when the trainer is gone. */
const LAST_WORDS = 20_000;

function tell(message: FromProcess): void {
  if (process.connected) process.send?.(message);
}

/** The key, from the environment or from where the environment says that it is kept. */
async function readKey({ WANDB_API_KEY, WANDB_API_KEY_SECRET_ARN }: NodeJS.ProcessEnv): Promise<string> {
  if (WANDB_API_KEY) return WANDB_API_KEY;
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const region = WANDB_API_KEY_SECRET_ARN?.split(':')[3];
  const client = new SecretsManagerClient({ ...(region && { region }) });
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: WANDB_API_KEY_SECRET_ARN }));
  if (!SecretString) throw new Error(`the secret ${WANDB_API_KEY_SECRET_ARN} holds no text`);
  return SecretString.trim();
}

/** Parameters as W&B keeps them: https://docs.wandb.ai/ref/python/sdk/classes/run, `config`. */
const toConfig = (parameters: Session['parameters']) =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { value }]));

async function begin(session: Session, rows: readonly Row[]) {
  const pass = randomBytes(20).toString('hex');
  const relay = new Relay({
    ...{ session, rows, pass, key: await readKey(process.env) },
    onSent: (count) => tell({ kind: 'sent', rows: count }),
    onTrouble: (cause) => tell({ kind: 'trouble', cause }),
  });
  const baseUrl = await relay.listen();
  const { wandb } = await import('@wandb/sdk');
  const { project, entity, id, name } = session;
  const run = await wandb.init({
    ...{ project, entity, id, name, config: toConfig(session.parameters) },
    settings: { baseUrl, apiKey: pass, silent: true },
  });
  tell({ kind: 'run', entity: run.entity });
  return run;
}

/** Ends with a last message; what the server has not got by then is told to the next such process. */
function end(message: FromProcess): void {
  if (!process.connected) process.exit(1);
  process.send?.(message, () => process.exit(message.kind === 'finished' ? 0 : 1));
}

function fail(error: unknown): void {
  end({ kind: 'trouble', cause: (error as Error)?.message ?? String(error) });
}

const rows: Row[] = [];
let sent = 0;
let run: ReturnType<typeof begin> | undefined;

// the trainer was killed: what it told last is sent all the same, and the run ends as killed
process.once('disconnect', () => {
  setTimeout(() => process.exit(1), LAST_WORDS);
  void Promise.resolve(run?.then((started) => started.finish(255))).finally(() => process.exit(1));
});
process.once('uncaughtException', fail);
process.on('message', (message: ToProcess) => {
  if (message.kind === 'begin') {
    sent = message.session.sent;
    run = begin(message.session, rows);
    run.catch(fail);
  } else if (message.kind === 'row') {
    const step = sent + rows.length + 1;
    rows.push(message.row);
    run?.then((started) => started.log({ ...message.row.values }, step)).catch(fail);
  } else {
    void run?.then((started) => started.finish(message.exitCode)).then(() => end({ kind: 'finished' }), fail);
  }
});
