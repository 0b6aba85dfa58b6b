-- Stacks of layers by chain ID: one layer on another stack. However deep, a stack that adds a layer to another is one
-- row more, and the rows that nobody holds or stands on go away. Owners of before keep what they have in `link`.
CREATE TABLE stack (
    chain TEXT PRIMARY KEY,
    below TEXT,                         -- the stack it stands on; NULL for the bottom
    layer TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX stack_below ON stack (below);
CREATE INDEX stack_layer ON stack (layer);

-- The one stack that an owner may hold, beside single digests.
CREATE TABLE stack_owner (
    owner TEXT PRIMARY KEY,
    chain TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX stack_owner_chain ON stack_owner (chain);
