/** Marks a file as ours: "LCPC" in ASCII, `PRAGMA application_id`. */
export const APPLICATION_ID = 0x4c435043;
/** `PRAGMA user_version` of a file with the schema below. */
export const SCHEMA_VERSION = 1;

/**
 * Labels point to the number of an entry, not to its key: keys are hashes, which would fall all over two more indexes
 * (a set with three labels: 110 µs by number, 200 µs by key). `entries` keeps its rowid, since its rows are long (a read of 2 KB: 8 µs,
 * without rowid 21 µs; of 32 KB 25 and 100). `value` is last, so that whatever wants the columns before it does not read it.
 */
export const SCHEMA = `
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0,
    value BLOB NOT NULL
  );
  CREATE INDEX entries_by_expiry ON entries (expires_at);
  CREATE INDEX entries_by_hits ON entries (hits) WHERE hits > 0;
  CREATE TABLE labels (label TEXT NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (label, entry)) WITHOUT ROWID;
  CREATE INDEX labels_by_entry ON labels (entry);
  CREATE TABLE notes (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Everything that the store asks of a file. */
export const STATEMENTS = {
  get: "SELECT value FROM entries WHERE key = ? AND expires_at > ?",
  put: `INSERT INTO entries (key, expires_at, value) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, value = excluded.value RETURNING id`,
  find: "SELECT id FROM entries WHERE key = ?",
  remove: "DELETE FROM entries WHERE id = ?",
  label: "INSERT OR IGNORE INTO labels (label, entry) VALUES (?, ?)",
  unlabel: "DELETE FROM labels WHERE entry = ?",
  /** Entries that carry a label, in pages. */
  labelled: "SELECT entry AS id FROM labels WHERE label = ? AND entry > ? ORDER BY entry LIMIT ?",
  carries: "SELECT 1 FROM labels WHERE label = ? AND entry = ?",
  /** How many entries carry a label, counted up to a limit. */
  carriers: "SELECT count(*) AS count FROM (SELECT 1 FROM labels WHERE label = ? LIMIT ?)",
  expired: "SELECT id FROM entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
  touch: "UPDATE entries SET hits = hits + ? WHERE key = ?",
  hottest: "SELECT key FROM entries WHERE hits > 0 AND expires_at > ? ORDER BY hits DESC LIMIT ?",
  /** Live entries, in pages. */
  list: "SELECT key, length(value) AS sizeBytes FROM entries WHERE key > ? AND expires_at > ? ORDER BY key LIMIT ?",
  count: "SELECT count(*) AS count FROM entries",
  size: "SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
  readNote: "SELECT text FROM notes WHERE name = ?",
  writeNote: "INSERT INTO notes (name, text) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
} as const;
