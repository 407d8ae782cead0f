// Rules for cdk-nag; apart from the rest, for it needs cdk-nag, which the rest does not.
export { ScanlineChecks } from './scanline-checks';
