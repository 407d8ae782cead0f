// Credentials: each form that its issuer publishes is found on its line, and what only looks like one is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentialFile, credentialsIn } from '../../../../lib/stages/training/credentials';

// put together here, so that scanners of this repository find none
const FOUND: readonly (readonly [string, string])[] = [
  ['an AWS access key id', `key = "AKIA${'Q2'.repeat(8)}"`],
  ['an AWS access key id', `ASIA${'Q2'.repeat(8)}`],
  ['an AWS secret access key', `aws_secret_access_key = ${'aB3/'.repeat(10)}`],
  ['an AWS secret access key', `"AWS_SECRET_KEY": "${'aB3+'.repeat(10)}"`],
  ['an AWS session token', `aws_session_token=${'aB3/'.repeat(25)}`],
  ['a private key', `-----BEGIN ${'RSA'} PRIVATE KEY-----`],
  ['a private key', `-----BEGIN ${'PRIVATE'} KEY-----`],
  ['a GitHub token', `ghp_${'a1'.repeat(18)}`],
  ['a GitHub token', `github_pat_${'a1'.repeat(30)}`],
  ['a GitLab token', `glpat-${'a1'.repeat(10)}`],
  ['a Hugging Face token', `token="hf_${'aB'.repeat(17)}"`],
  ['an npm token', `npm_${'a1'.repeat(18)}`],
  ['a PyPI token', `pypi-${'a1'.repeat(30)}`],
  ['a Slack token', `xoxb-${'12'.repeat(8)}`],
  ['an API key', `sk-${'a1'.repeat(20)}`],
  ['a Weights & Biases key', `WANDB_API_KEY=${'0f'.repeat(20)}`],
  ['a URL with a password', `--index-url https://me:${'secret'}@pypi.test/simple`],
];

for (const [kind, line] of FOUND) {
  test(`found: ${kind}, as ${line.slice(0, 18)}...`, () => {
    assert.deepEqual(credentialsIn(`first\n${line}\nlast`), [{ kind, line: 2 }]);
  });
}

test('no credentials: documentation, names of variables, hashes, addresses', () => {
  const text = [
    'AKIAIOSFODNN7EXAMPLE',
    'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'key = os.environ["WANDB_API_KEY"]',
    `sha256:${'0f'.repeat(32)}`,
    'https://pypi.test/simple/@scope',
    'https://user:{password}@host',
    '-----BEGIN PUBLIC KEY-----',
    'hf_hub_download(task-oriented-and-otherwise-long-words)',
  ].join('\n');
  assert.deepEqual(credentialsIn(text), []);
});

test('files that hold credentials by their name', () => {
  const names = ['.env', '.env.production', '.netrc', '.pypirc', '.git-credentials', 'kaggle.json', 'id_rsa'];
  assert.deepEqual(
    names.filter((name) => credentialFile(name) === undefined),
    [],
  );
  for (const name of ['.env.example', 'env.py', 'id_rsa.pub', 'environment.yml']) {
    assert.equal(credentialFile(name), undefined, name);
  }
});
