// What a witness remembers: for each log the newest checkpoint that it cosigned, and what proves that a log misbehaved. A
// cosignature leaves only after its checkpoint is on disk here, or a restart could sign another history.
import Database from 'better-sqlite3';
import { SealgateError } from '../lib/errors.ts';

/** `SGWT` */
const APPLICATION_ID = 0x53475754;
const VERSION = 1;
/** Evidence of one log: the first pieces tell as much as a thousand. */
const MAX_EVIDENCE = 100;

const TABLES = [
  'CREATE TABLE head (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL) STRICT',
  'CREATE TABLE evidence (id INTEGER PRIMARY KEY, origin TEXT NOT NULL, time TEXT NOT NULL, why TEXT NOT NULL, request BLOB NOT NULL) STRICT',
];

export interface WitnessedHead {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Buffer;
}

export class WitnessHeads {
  readonly #db: Database.Database;
  readonly #statements: ReturnType<typeof prepareStatements>;

  private constructor(db: Database.Database) {
    this.#db = db;
    this.#statements = prepareStatements(db);
  }

  /** Opens the file; `create` makes it when it is missing. Throws WITNESS_STATE_INVALID. */
  static open(file: string, create: boolean): WitnessHeads {
    let db: Database.Database | undefined;
    try {
      db = new Database(file, { fileMustExist: !create, timeout: 5000 });
      db.pragma('journal_mode = WAL');
      // better-sqlite3's default in WAL mode would lose the newest heads at a power cut.
      db.pragma('synchronous = FULL');
      const opened = db;
      db.transaction(() => prepareSchema(opened, file))();
      return new WitnessHeads(db);
    } catch (error) {
      db?.close();
      throw stateInvalid(file, error);
    }
  }

  /** The newest head cosigned for a log; undefined when there was none. */
  head(origin: string): WitnessedHead | undefined {
    return this.#statements.head.get(origin);
  }

  /**
   * Records `next` when `judge` has nothing against it, seen what is recorded: both in one transaction, so that of two
   * requests at once one sees the other. Returns what `judge` said, undefined when it was recorded. Durable when it returns.
   */
  advance<T>(
    origin: string,
    next: WitnessedHead & { readonly note: string },
    judge: (last: WitnessedHead | undefined) => T | undefined,
  ): T | undefined {
    return this.#db
      .transaction(() => {
        const wrong = judge(this.head(origin));
        if (wrong === undefined) this.#statements.advance.run(origin, next.size, next.root, Buffer.from(next.note));
        return wrong;
      })
      .immediate();
  }

  /** Keeps a request that a log signed and that contradicts what it signed before. */
  keepEvidence(origin: string, time: string, why: string, request: Uint8Array): void {
    if ((this.#statements.evidenceOf.get(origin) ?? 0) >= MAX_EVIDENCE) return;
    this.#statements.keep.run(origin, time, why, Buffer.from(request));
  }

  /** Heads, by origin. */
  heads(): { readonly origin: string; readonly size: number }[] {
    return this.#statements.heads.all();
  }

  /** Pieces of evidence kept. */
  evidence(): { readonly origin: string; readonly time: string; readonly why: string }[] {
    return this.#statements.evidence.all();
  }

  close(): void {
    this.#db.close();
  }
}

function prepareSchema(db: Database.Database, file: string): void {
  const id = db.pragma('application_id', { simple: true });
  const tables = db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (id === 0 && tables === 0) {
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${VERSION}`);
    for (const table of TABLES) db.exec(table);
    return;
  }
  if (id !== APPLICATION_ID) throw new Error(`${file} is another program's database`);
  const version = db.pragma('user_version', { simple: true });
  if (version !== VERSION) throw new Error(`it has version ${version}; this release knows ${VERSION}`);
}

function prepareStatements(db: Database.Database) {
  return {
    head: db.prepare<[string], WitnessedHead>('SELECT size, root FROM head WHERE origin = ?'),
    heads: db.prepare<[], { origin: string; size: number }>('SELECT origin, size FROM head ORDER BY origin'),
    advance: db.prepare<[string, number, Buffer, Buffer]>(
      `INSERT INTO head VALUES (?, ?, ?, ?)
       ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note`,
    ),
    evidenceOf: db.prepare<[string], number>('SELECT count(*) FROM evidence WHERE origin = ?').pluck(),
    evidence: db.prepare<[], { origin: string; time: string; why: string }>(
      'SELECT origin, time, why FROM evidence ORDER BY id',
    ),
    keep: db.prepare<[string, string, string, Buffer]>(
      'INSERT INTO evidence (origin, time, why, request) VALUES (?, ?, ?, ?)',
    ),
  };
}

function stateInvalid(file: string, cause: unknown): SealgateError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SealgateError(
    'WITNESS_STATE_INVALID',
    `the witness's memory ${file} cannot be opened (${why}): a witness whose memory is lost must not go on under its key, because it could cosign another history; begin a new witness with --init and a new key`,
    { cause },
  );
}
