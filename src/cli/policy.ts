// `sealgate policy`: what the author of a policy needs before it is used, and whoever asks afterwards why it decided as it did.
import { type Command, InvalidArgumentError, Option } from 'commander';

/** Only what is asked for is loaded: one check has no use for a ledger. */
const load = {
  check: () => import('./policy-check.ts'),
  eval: () => import('./policy-eval.ts'),
  explain: () => import('./policy-explain.ts'),
  bench: () => import('./policy-bench.ts'),
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
  withPolicies(
    policy
      .command('eval')
      .summary('say what the policies decide about a request')
      .description(
        'Evaluates an AdmissionReview (JSON or YAML), an entry as `sealgate query <entry> -o json` prints it, or a plain object, which is\n' +
          'wrapped into a request. Exit codes: 0 allowed, 1 could not run, 2 usage, 10 the entry was changed, 16 denied.',
      )
      .argument('[file]', 'the review, entry or object; - for standard input')
      .option('--seq <entry>', 'a recorded decision instead: seq, or <shard>/<seq>')
      .addOption(dataDirOption())
      .addOption(
        new Option('--operation <operation>', 'of the request around a plain object (default: CREATE)').choices([
          'CREATE',
          'UPDATE',
          'DELETE',
        ]),
      )
      .option('--user <name>', 'who asks, for a plain object (default: author)')
      .option('--user-group <group>', 'of who asks (repeatable; default: system:authenticated)', list)
      .option('-n, --namespace <namespace>', 'for a plain object that names none')
      .option('--old-object <file>', 'what is there before, for UPDATE and DELETE (default: the object itself)')
      .option('--json', 'print the verdict as JSON'),
  ).action(async (file: string | undefined, flags) => {
    process.exitCode = await (await load.eval()).runEval(file, flags);
  });
  withPolicies(
    policy
      .command('explain')
      .summary('say why a recorded decision is as it is')
      .description(
        'Shows what is on record and, where the policy folder is the one that decided, which rules held with which values.\n' +
          'Exit codes: 0 explained, 1 could not run, 2 usage, 10 the entry was changed.',
      )
      .argument('<entry>', 'seq, or <shard>/<seq>')
      .addOption(dataDirOption())
      .option('--json', 'print the explanation as JSON'),
  ).action(async (place: string, flags) => {
    process.exitCode = await (await load.explain()).runExplain(place, flags);
  });
  withOpa(
    policy
      .command('bench')
      .summary('measure how fast the policies are')
      .description(
        'Evaluates each policy, and all together, on the reviews that they look at, in one thread. Exit codes: 0 measured, 1 could not\n' +
          'run, 2 usage.',
      )
      .addOption(policiesOption())
      .option('--reviews <path>', 'a file as eval takes it, or a folder of them (default: one sample pod)')
      .option('--time <ms>', 'for each policy', milliseconds, 500)
      .option('--json', 'print the figures as JSON'),
  ).action(async (flags) => {
    process.exitCode = await (await load.bench()).runBench(flags);
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

/** The folder, and the time that its policies are given. */
function withPolicies(command: Command): Command {
  return withOpa(command)
    .addOption(policiesOption())
    .option('--time-limit <ms>', 'most time for the policies, as policy.timeLimitMs', milliseconds, 1000);
}

function dataDirOption(): Option {
  return new Option('--data-dir <dir>', 'ledger or data folder, live or a copy')
    .env('SEALGATE_DATA_DIR')
    .default('sealgate-data');
}

function milliseconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a number of milliseconds from 1 is expected');
}

function list(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function policiesOption(): Option {
  return new Option('--policies <dir>', 'policy folder').env('SEALGATE_POLICY_DIR').default(DEFAULT_DIR);
}
