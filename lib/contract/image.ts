// What an image says of itself, against the contract: its entry point, user and platform.
import type { Findings } from './points';

/** As `docker image inspect` and `podman image inspect` give it. */
export interface ImageDescription {
  readonly Os?: string;
  readonly Architecture?: string;
  readonly Config?: { readonly User?: string; readonly Entrypoint?: readonly string[] | null };
}

const ROOT = new Set(['', '0', 'root', '0:0', 'root:root']);

export function checkImage({ Os = '', Architecture = '', Config = {} }: ImageDescription, findings: Findings): void {
  const entryPoint = Config.Entrypoint ?? [];
  // the shell form: /bin/sh -c "program", which has no room for SageMaker's argument either
  const isShell = /^(\/bin\/)?(ba|da)?sh$/.test(entryPoint[0] ?? '') && entryPoint[1] === '-c';
  const form = entryPoint.length === 0 ? 'none: `train` and `serve` are commands in PATH' : JSON.stringify(entryPoint);
  findings.judge('image/entry-point', !isShell, form);
  const user = Config.User ?? '';
  findings.tell('image/user', ROOT.has(user) ? 'pass' : 'hint', user === '' ? 'root' : user);
  const platform = `${Os}/${Architecture}`;
  const verdict = platform === 'linux/amd64' ? 'pass' : platform === 'linux/arm64' ? 'hint' : 'fail';
  findings.tell('image/platform', verdict, platform);
}
