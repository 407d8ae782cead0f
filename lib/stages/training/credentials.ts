// Finds credentials in text, before it leaves this machine.

export interface Credential {
  readonly kind: string;
  /** From 1. */
  readonly line: number;
}

/** The forms that issuers of credentials publish, so that secret scanners find them. */
const CREDENTIALS: readonly (readonly [kind: string, form: RegExp])[] = [
  ['an AWS access key id', /\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z2-7]{16}\b/],
  [
    'an AWS secret access key',
    /aws_?secret_?(?:access_?)?key["']?\s*[=:]\s*["']?(?![A-Za-z0-9/+]*EXAMPLE)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])/i,
  ],
  ['an AWS session token', /aws_?session_?token["']?\s*[=:]\s*["']?[A-Za-z0-9/+=]{80,}/i],
  ['a private key', /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----/],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})/],
  ['a GitLab token', /\bglpat-[A-Za-z0-9_-]{20,}/],
  ['a Hugging Face token', /\bhf_[A-Za-z0-9]{30,}/],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a PyPI token', /\bpypi-[A-Za-z0-9_-]{50,}/],
  ['a Slack token', /\bxox[abeprs]-[A-Za-z0-9-]{10,}/],
  ['an API key', /\bsk-[A-Za-z0-9_-]{32,}/],
  ['a Weights & Biases key', /wandb_?(?:api_?)?key["']?\s*[=:]\s*["']?[0-9a-f]{40}\b/i],
  ['a URL with a password', /\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/'"{}$<]+:[^\s:@/'"{}$<]{3,}@[A-Za-z0-9]/],
];

/** The credentials in a text, by line; what they are, never the value itself. */
export function credentialsIn(text: string): Credential[] {
  return text
    .split('\n')
    .flatMap((content, index) =>
      CREDENTIALS.filter(([, form]) => form.test(content)).map(([kind]) => ({ kind, line: index + 1 })),
    );
}

/** Files that hold credentials by their very name; undefined for all others. */
export function credentialFile(name: string): string | undefined {
  if (/^\.env(?:\..+)?$/.test(name) && !/\.(?:example|sample|template)$/.test(name)) return 'a file of secrets';
  if (/^(?:\.netrc|_netrc|\.pypirc|\.git-credentials|kaggle\.json)$/.test(name)) return 'a file of passwords';
  if (/^id_(?:rsa|dsa|ecdsa|ed25519)$/.test(name)) return 'a private key';
  return undefined;
}
