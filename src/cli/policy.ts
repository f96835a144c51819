// `sealgate policy`: what the author of a policy needs before it is used, and whoever asks afterwards why it decided as it did.
import { type Command, Option } from 'commander';

/** Only what is asked for is loaded: one check has no use for a ledger. */
const load = {
  check: () => import('./policy-check.ts'),
};

export function register(program: Command): void {
  const policy = program
    .command('policy')
    .summary('check policies, try them, and explain what they decided')
    .description('For the authors of policies (docs/policies.md).');
  withOpa(
    policy
      .command('check')
      .summary('say what is wrong with a policy folder, and run its tests')
      .description(
        'Compiles the folder as `sealgate serve` does and runs its tests. Errors are what serve refuses; warnings are what it takes\n' +
          'and hardly anybody means. Exit codes: 0 sound, 1 could not run, 2 usage, 15 an error or a test that fails.',
      )
      .addArgument(policiesArgument(policy))
      .option('--no-test', 'do not run the tests of the folder')
      .option('--strict', 'count warnings as errors')
      .option('--json', 'print the findings as JSON'),
  ).action(async (dir: string, flags) => {
    process.exitCode = await (await load.check()).runCheck(dir, flags);
  });
  for (const command of policy.commands) command.exitOverride();
}

const DEFAULT_DIR = 'policies';

function policiesArgument(policy: Command) {
  return policy.createArgument('[dir]', 'policy folder').default(DEFAULT_DIR);
}

function withOpa(command: Command): Command {
  return command.addOption(new Option('--opa <file>', 'the opa program').env('SEALGATE_POLICY_OPA').default('opa'));
}
