// Credentials where anyone who may describe a job can read them: each is found, and none is repeated.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, parameter } from './planted';

const credentials: Record<string, readonly [name: string, value: string, what: RegExp]> = {
  'an AWS access key, by its pattern': ['note', `AKIA${'A'.repeat(16)}`, /an AWS access key/],
  'an AWS secret, by its name': ['AWS_SECRET_ACCESS_KEY', 'x'.repeat(40), /an AWS credential/],
  'a GitHub token, by its pattern': ['note', `ghp_${'a'.repeat(36)}`, /a GitHub token/],
  'a GitHub token, by its name': ['GITHUB_TOKEN', 'x', /a GitHub token/],
  'a Hugging Face token, by its pattern': ['note', `hf_${'a'.repeat(34)}`, /a Hugging Face token/],
  'a Hugging Face token, by its name': ['HF_TOKEN', 'x', /a Hugging Face token/],
  'a W&B key, by its name': ['WANDB_API_KEY', 'a'.repeat(40), /a Weights & Biases key/],
  'a password, by its name': ['db_password', 'x', /a credential/],
  'a private key': ['note', '-----BEGIN RSA PRIVATE KEY-----', /a private key/],
};

for (const [what, [name, value, kind]] of Object.entries(credentials)) {
  test(`${what}, is found in hyperparameters and in the environment, and not repeated`, () => {
    for (const map of ['HyperParameters', 'Environment']) {
      const findings = changed('Train', (args) => {
        args[map] = { [name]: value };
      });
      assert.equal(findings.length, 1, JSON.stringify(findings));
      assert.match(findings[0]?.problem as string, kind);
      assert.match(findings[0]?.fix as string, /Secrets Manager/);
      assert.equal(findings[0]?.problem.includes(value) && value.length > 1, false);
    }
  });
}

test('a credential is found in a command line and in the default of a parameter', () => {
  const key = `AKIA${'A'.repeat(16)}`;
  const findings = changed('Split', (args, _, { Parameters }) => {
    args.AppSpecification.ContainerArguments = ['--key', key];
    Parameters.push(parameter('String', key));
  });
  assert.deepEqual(
    findings.map(({ where }) => where),
    ['step Split', 'parameter Planted'],
  );
});
