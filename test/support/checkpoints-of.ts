// The checkpoints in a shard's file.
import Database from 'better-sqlite3';

export function checkpointsOf(file: string): { size: number; note: Buffer }[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare<[], { size: number; note: Buffer }>('SELECT size, note FROM checkpoint ORDER BY size').all();
  } finally {
    db.close();
  }
}
