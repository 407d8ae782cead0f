// The pipeline language.
export * from './check';
export * from './condition';
export * from './errors';
export * from './expression';
export * from './parameter';
export * from './pipeline';
export * from './step';
