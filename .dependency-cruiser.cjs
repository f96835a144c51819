// Which room of src/ may import which: the table of ARCHITECTURE.md, held by `make layers`. Imports of types count too.

/** Room → rooms it may import besides itself. `*` is every room. */
const ROOMS = {
  lib: [],
  tlog: [],
  ledger: ['tlog', 'lib'],
  policy: ['lib'],
  admission: ['policy', 'ledger', 'lib'],
  audit: ['ledger', 'lib'],
  redact: ['lib'],
  mirror: ['ledger', 'tlog', 'lib'],
  detect: ['policy', 'ledger', 'lib'],
  index: ['ledger', 'lib'],
  api: ['index', 'ledger', 'tlog', 'lib'],
  ui: ['index', 'ledger', 'tlog', 'lib'],
  kube: ['lib'],
  server: ['lib'],
  config: ['lib'],
  cli: ['*'],
};

const names = Object.keys(ROOMS);
const inRooms = (rooms) => `^src/(${rooms.join('|')})/`;

const arrows = Object.entries(ROOMS)
  .filter(([, allowed]) => !allowed.includes('*'))
  .map(([room, allowed]) => ({
    name: `room-${room}`,
    comment: `src/${room}/ may import ${allowed.length > 0 ? allowed.join(', ') : 'no other room'}. What else it needs it takes as an argument.`,
    severity: 'error',
    from: { path: inRooms([room]) },
    to: { path: '^src/', pathNot: inRooms([room, ...allowed]) },
  }));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: 'known-room',
      comment: 'Every file of src/ is in a room of the table, or is the composition root (serve.ts and serve-*.ts).',
      severity: 'error',
      from: { path: '^src/', pathNot: `${inRooms(names)}|^src/serve[a-z-]*\\.ts$` },
      to: {},
    },
    {
      name: 'tlog-is-pure',
      comment: 'src/tlog/ computes; it reads no file, no socket and no clock.',
      severity: 'error',
      from: { path: inRooms(['tlog']) },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
    },
    {
      name: 'no-barrel',
      comment: 'Import from the file that owns the thing.',
      severity: 'error',
      from: {},
      to: { path: ['^(src|test|tools|bench)/index\\.[jt]s$', '^(src|test|tools|bench)/.+/index\\.[jt]s$'] },
    },
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'src-stands-alone',
      comment: 'What is shipped needs neither the tests nor the tools.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|tools|bench)/' },
    },
    {
      name: 'no-dev-dependency',
      comment: 'What is shipped needs only `dependencies` of package.json; types may come from elsewhere.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
