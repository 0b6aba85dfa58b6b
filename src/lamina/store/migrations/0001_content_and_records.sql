-- What is on disk, who needs it, and the documents of the rooms above.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row per blob or layer. The row is the commit point: a file without a row is a leftover.
CREATE TABLE content (
    digest TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('blob', 'layer')),
    size   INTEGER NOT NULL,            -- bytes of the blob, or of the layer's tar
    extra  INTEGER NOT NULL DEFAULT 0,  -- bytes of the layer's index
    files  INTEGER NOT NULL DEFAULT 0,  -- bytes of the files in a layer: what Docker calls its size
    synced INTEGER NOT NULL DEFAULT 0,  -- 1 once the bytes are known to survive a power cut
    PRIMARY KEY (digest, kind)
) WITHOUT ROWID;

CREATE INDEX content_unsynced ON content (digest) WHERE synced = 0;

-- Owners keep content: "image:<id>", "container:<id>", "cache:<key>".
CREATE TABLE link (
    owner  TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (owner, digest)
) WITHOUT ROWID;

CREATE INDEX link_digest ON link (digest, owner);

-- Compressed forms of layers, kept only while there is room for them.
CREATE TABLE cached (
    digest TEXT PRIMARY KEY,
    layer  TEXT NOT NULL,
    used   INTEGER NOT NULL             -- nanoseconds since the epoch
) WITHOUT ROWID;

CREATE INDEX cached_layer ON cached (layer);

CREATE TABLE record (
    bucket TEXT NOT NULL,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
