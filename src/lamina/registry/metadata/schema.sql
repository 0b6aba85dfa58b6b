-- Times are seconds since the epoch. A row with `deleted` set is gone for clients and can be brought back until it is
-- collected. `refs` says what keeps what: rows of a manifest stay as long as the manifest's row does. The `bytes` of a
-- repository are those of its blobs and manifests.

CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);

CREATE TABLE IF NOT EXISTS repositories (
    name {text} PRIMARY KEY,
    bytes BIGINT NOT NULL DEFAULT 0,
    created DOUBLE PRECISION NOT NULL
);

CREATE TABLE IF NOT EXISTS blobs (
    digest {text} PRIMARY KEY,
    size BIGINT NOT NULL,
    location {text} NOT NULL,
    created DOUBLE PRECISION NOT NULL
);

CREATE TABLE IF NOT EXISTS links (
    repository {text} NOT NULL,
    digest {text} NOT NULL,
    used DOUBLE PRECISION NOT NULL,
    deleted DOUBLE PRECISION,
    PRIMARY KEY (repository, digest)
);

CREATE INDEX IF NOT EXISTS links_by_digest ON links (digest);

-- Manifests, and blobs too small for a file of their own (those with an empty location).
CREATE TABLE IF NOT EXISTS documents (
    digest {text} PRIMARY KEY,
    raw BYTEA NOT NULL
);

CREATE TABLE IF NOT EXISTS manifests (
    repository {text} NOT NULL,
    digest {text} NOT NULL,
    media_type {text} NOT NULL,
    size BIGINT NOT NULL,
    artifact_type {text} NOT NULL,
    subject {text},
    descriptor BYTEA NOT NULL,
    pushed DOUBLE PRECISION NOT NULL,
    pulled DOUBLE PRECISION NOT NULL,
    deleted DOUBLE PRECISION,
    lost_tags {text} NOT NULL DEFAULT '',
    PRIMARY KEY (repository, digest)
);

CREATE INDEX IF NOT EXISTS manifests_by_digest ON manifests (digest);

CREATE INDEX IF NOT EXISTS manifests_by_subject ON manifests (repository, subject);

CREATE TABLE IF NOT EXISTS refs (
    repository {text} NOT NULL,
    manifest {text} NOT NULL,
    kind {text} NOT NULL,
    digest {text} NOT NULL,
    PRIMARY KEY (repository, manifest, kind, digest)
);

CREATE INDEX IF NOT EXISTS refs_by_target ON refs (repository, digest, kind);

CREATE TABLE IF NOT EXISTS tags (
    repository {text} NOT NULL,
    name {text} NOT NULL,
    digest {text} NOT NULL,
    updated DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (repository, name)
);

CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (repository, digest);

CREATE TABLE IF NOT EXISTS uploads (
    id {text} PRIMARY KEY,
    repository {text} NOT NULL,
    segments {text} NOT NULL,
    size BIGINT NOT NULL,
    updated DOUBLE PRECISION NOT NULL
);

-- Bytes of unfinished uploads in repositories with a quota, counted before they are stored.
CREATE TABLE IF NOT EXISTS reservations (
    upload {text} PRIMARY KEY,
    repository {text} NOT NULL,
    bytes BIGINT NOT NULL,
    updated DOUBLE PRECISION NOT NULL
);

CREATE INDEX IF NOT EXISTS reservations_by_repository ON reservations (repository);

CREATE TABLE IF NOT EXISTS trash (
    location {text} PRIMARY KEY,
    since DOUBLE PRECISION NOT NULL
)
