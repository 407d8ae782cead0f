/**
 * Rules for cdk-nag; apart from the rest, for it needs cdk-nag, which the rest does not.
 *
 * @module scanline-sagemaker/nag
 */
export { ScanlineChecks } from './scanline-checks';
