// scanline doctor: what was found on this machine, where, and what would run on it.
import { Command } from 'commander';
import { examine } from '../../training/native/doctor';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('tell what was found on this machine, where, and what would run on it')
    .addHelpText('after', '\nExample:\n  scanline doctor\n')
    .action(() => {
      const findings = examine();
      for (const { ok, what, found, fix } of findings) {
        process.stdout.write(
          `${ok ? '✓' : '✗'} ${what.padEnd(14)} ${found}\n${fix ? `${' '.repeat(17)}Fix: ${fix}\n` : ''}`,
        );
      }
      if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
    });
}
