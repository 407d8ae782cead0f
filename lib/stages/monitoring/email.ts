// Addresses of people who are told by e-mail.
import { Token } from 'aws-cdk-lib';
import type { Refusals } from '../checks/refusals';

/** Refuses what is surely no address, and who is named twice. */
export function checkEmails(emails: readonly string[], refusals: Refusals): void {
  const known = emails.filter((email) => !Token.isUnresolved(email));
  for (const email of known.filter((text) => !/^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(text)))
    refusals.add('emails', `'${email}'`, 'addresses, as mri@example.org', 'correct it');
  for (const email of new Set(known.filter((text, index) => known.indexOf(text) !== index)))
    refusals.add('emails', `'${email}' twice`, 'each once', 'leave out one');
}
