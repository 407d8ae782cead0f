// Runs as a Lambda function whenever objects have arrived: puts the start of the pipeline off until nothing more has come for a while.
// Lambda brings the AWS SDK; nothing else may be imported here, for this folder alone is uploaded.
import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  ResourceNotFoundException,
  SchedulerClient,
  type Target,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';

/** What the stack tells the function in its environment. */
interface Settings {
  readonly SCHEDULE_GROUP: string;
  readonly SCHEDULE_NAME: string;
  readonly QUIET_SECONDS: string;
  /** The start of the pipeline, as EventBridge Scheduler takes it, in JSON. */
  readonly SCHEDULE_TARGET: string;
}

const client = new SchedulerClient();

/** The schedule that starts the pipeline once, after the quiet period that begins now. */
function scheduleFrom(now: number): CreateScheduleCommandInput {
  const { SCHEDULE_GROUP, SCHEDULE_NAME, QUIET_SECONDS, SCHEDULE_TARGET } = process.env as unknown as Settings;
  const moment = new Date(now + Number(QUIET_SECONDS) * 1000).toISOString().slice(0, 'yyyy-mm-ddThh:mm:ss'.length);
  return {
    GroupName: SCHEDULE_GROUP,
    Name: SCHEDULE_NAME,
    ScheduleExpression: `at(${moment})`,
    FlexibleTimeWindow: { Mode: 'OFF' },
    Target: JSON.parse(SCHEDULE_TARGET) as Target,
    // it stays, so that moving it never meets its deletion
    ActionAfterCompletion: 'NONE',
  };
}

/**
 * Moves the one schedule to the end of a quiet period that begins now; makes it where there is none.
 *
 * Many may run at once: each writes a moment that is its own now plus the quiet period, so whichever comes last the pipeline starts
 * after the last object, at most their running time early. What arrives while it starts moves the schedule again, and starts it again.
 */
export async function handler(): Promise<void> {
  const schedule = scheduleFrom(Date.now());
  try {
    await client.send(new UpdateScheduleCommand(schedule));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    try {
      await client.send(new CreateScheduleCommand(schedule));
    } catch (conflict) {
      // another made it in the meantime
      if (!(conflict instanceof ConflictException)) throw conflict;
      await client.send(new UpdateScheduleCommand(schedule));
    }
  }
}
