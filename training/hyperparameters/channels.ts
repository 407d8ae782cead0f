// Names of the channels that the trainer reads. Pure data.

/** Names that people give to the channels of the parts; the first that is there is read. */
export const CHANNEL_NAMES = { train: ['train'], valid: ['validation', 'valid', 'val'], test: ['test'] } as const;

/** Names of a channel that holds all parts. */
export const WHOLE_CHANNELS: readonly string[] = ['data', 'training', 'dataset'];
