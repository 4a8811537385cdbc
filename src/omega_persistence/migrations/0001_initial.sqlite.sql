-- The seven tables of an agent's mind. `namespace` comes first in every key, so that the same
-- statements shard by namespace on a server. CHECKs repeat what the library validates: no other
-- program can put in what it refuses.

CREATE TABLE memories (
    seq INTEGER PRIMARY KEY,  -- order of arrival; the full-text index points at it
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    content TEXT NOT NULL,
    tier INTEGER NOT NULL CHECK (tier BETWEEN 1 AND 12),
    importance REAL NOT NULL CHECK (importance BETWEEN 0.0 AND 1.0),
    embedding_blob BLOB,
    created_at INTEGER NOT NULL,
    last_accessed INTEGER NOT NULL,
    session TEXT CHECK (session <> ''),
    keywords TEXT NOT NULL,
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    expires_at INTEGER CHECK (expires_at >= 0),
    access_count INTEGER NOT NULL CHECK (access_count >= 0),
    search_terms TEXT NOT NULL,  -- written by the library: see the full-text index
    -- One word that stands for the namespace, and that no question can hold: U+E000 is a letter
    -- to the index, but not to the library.
    scope TEXT GENERATED ALWAYS AS (char(57344) || hex(namespace)) VIRTUAL,
    UNIQUE (namespace, id)
) STRICT;

CREATE INDEX memories_by_tier ON memories (namespace, tier, importance DESC, id);
CREATE INDEX memories_by_importance ON memories (namespace, importance DESC, id);
CREATE INDEX memories_by_created_at ON memories (namespace, created_at, id);
CREATE INDEX memories_by_last_accessed ON memories (namespace, last_accessed, id);
CREATE INDEX memories_by_session ON memories (namespace, session, created_at, id)
    WHERE session IS NOT NULL;
CREATE INDEX memories_by_expires_at ON memories (namespace, expires_at, id)
    WHERE expires_at IS NOT NULL;

-- Words of a memory, by their English stems. The text stays in `memories`; triggers keep both in
-- step, so that a put need not know that search exists and search can never disagree with the
-- table. `search_terms` holds the Chinese, Japanese and Korean characters with blanks between them,
-- since the index takes what has no blanks for one word. `scope` lets a search meet the memories of
-- its namespace alone.
CREATE VIRTUAL TABLE memories_fts USING fts5 (
    content, keywords, search_terms, scope,
    content = 'memories', content_rowid = 'seq', tokenize = 'porter unicode61 remove_diacritics 2'
);

-- In how many memories each word is.
CREATE VIRTUAL TABLE memories_words USING fts5vocab (memories_fts, 'row');

CREATE TRIGGER memories_fts_insert AFTER INSERT ON memories BEGIN
    INSERT INTO memories_fts (rowid, content, keywords, search_terms, scope)
    VALUES (new.seq, new.content, new.keywords, new.search_terms, new.scope);
END;

CREATE TRIGGER memories_fts_delete AFTER DELETE ON memories BEGIN
    INSERT INTO memories_fts (memories_fts, rowid, content, keywords, search_terms, scope)
    VALUES ('delete', old.seq, old.content, old.keywords, old.search_terms, old.scope);
END;

-- `put` writes every column; only words that changed are indexed again.
CREATE TRIGGER memories_fts_update AFTER UPDATE ON memories
WHEN old.seq <> new.seq OR old.content <> new.content OR old.keywords <> new.keywords
    OR old.search_terms <> new.search_terms OR old.scope <> new.scope BEGIN
    INSERT INTO memories_fts (memories_fts, rowid, content, keywords, search_terms, scope)
    VALUES ('delete', old.seq, old.content, old.keywords, old.search_terms, old.scope);
    INSERT INTO memories_fts (rowid, content, keywords, search_terms, scope)
    VALUES (new.seq, new.content, new.keywords, new.search_terms, new.scope);
END;

CREATE TABLE skills (
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    description TEXT NOT NULL,
    trigger_pattern TEXT NOT NULL,
    success_count INTEGER NOT NULL CHECK (success_count >= 0),
    last_used INTEGER,
    created_at INTEGER NOT NULL,
    failure_count INTEGER NOT NULL CHECK (failure_count >= 0),
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    trigger_folded TEXT NOT NULL,  -- case-folded by the library: lower() here knows ASCII only
    PRIMARY KEY (namespace, id),
    UNIQUE (namespace, name)
) STRICT;

CREATE INDEX skills_by_success_count ON skills (namespace, success_count DESC, id);

CREATE TABLE architectures (
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    paradigm TEXT NOT NULL,
    substrate TEXT NOT NULL,
    fitness_json TEXT NOT NULL CHECK (
        CASE WHEN json_valid(fitness_json) THEN json_type(fitness_json) = 'object' ELSE 0 END),
    lineage_json TEXT NOT NULL CHECK (
        CASE WHEN json_valid(lineage_json) THEN json_type(lineage_json) = 'object' ELSE 0 END),
    created_at INTEGER NOT NULL,
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    PRIMARY KEY (namespace, id)
) STRICT;

CREATE INDEX architectures_by_paradigm ON architectures (namespace, paradigm, created_at DESC, id);
CREATE INDEX architectures_by_substrate
    ON architectures (namespace, substrate, created_at DESC, id);

CREATE TABLE intelligences (
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    arch_id TEXT NOT NULL,
    maturity REAL NOT NULL CHECK (maturity BETWEEN 0.0 AND 1.0),
    capabilities_json TEXT NOT NULL CHECK (
        CASE WHEN json_valid(capabilities_json)
        THEN json_type(capabilities_json) IN ('array', 'object') ELSE 0 END),
    memories_json TEXT NOT NULL CHECK (
        CASE WHEN json_valid(memories_json) THEN json_type(memories_json) = 'array' ELSE 0 END),
    state_json TEXT NOT NULL CHECK (json_valid(state_json)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    PRIMARY KEY (namespace, id),
    FOREIGN KEY (namespace, arch_id) REFERENCES architectures (namespace, id)
) STRICT;

CREATE INDEX intelligences_by_architecture
    ON intelligences (namespace, arch_id, maturity DESC, id);

CREATE TABLE vectors (
    seq INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    memory_id TEXT NOT NULL,
    dimensions INTEGER NOT NULL CHECK (dimensions > 0),
    space TEXT NOT NULL,
    -- Last, since a column behind long ones is reached page by page.
    data_blob BLOB NOT NULL CHECK (length(data_blob) = 4 * dimensions),
    UNIQUE (namespace, id),
    FOREIGN KEY (namespace, memory_id) REFERENCES memories (namespace, id) ON DELETE CASCADE
) STRICT;

-- Whether a memory has a vector in some space is told from the index alone.
CREATE INDEX vectors_by_memory ON vectors (namespace, memory_id, id, space);
CREATE INDEX vectors_by_space ON vectors (namespace, space, dimensions);

-- The space that a namespace is searched in, once it was chosen among several.
CREATE TABLE serving_spaces (
    namespace TEXT NOT NULL PRIMARY KEY CHECK (length(namespace) BETWEEN 1 AND 1000),
    space TEXT NOT NULL
) STRICT;

-- A quarter of the bytes of each vector, for the search: written by the library with the vector,
-- and made of it and its memory alone. Apart, so that all can be read without the vectors.
CREATE TABLE vector_codes (
    seq INTEGER PRIMARY KEY REFERENCES vectors (seq) ON DELETE CASCADE,
    memory INTEGER NOT NULL,  -- its seq, which the indexes of memories give for a filter
    code BLOB NOT NULL
) STRICT;

-- What searches follow in every process: the newest row names the state of all codes. Numbers
-- follow each other, since the last one stays; a number that is given again after a rollback or a
-- restore comes with another token.
CREATE TABLE vector_changes (
    number INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    token INTEGER NOT NULL
) STRICT;

CREATE TRIGGER vector_codes_insert AFTER INSERT ON vector_codes BEGIN
    INSERT INTO vector_changes (seq, token) VALUES (new.seq, random());
END;

CREATE TRIGGER vector_codes_delete AFTER DELETE ON vector_codes BEGIN
    INSERT INTO vector_changes (seq, token) VALUES (old.seq, random());
END;

CREATE TRIGGER vector_codes_update AFTER UPDATE ON vector_codes BEGIN
    INSERT INTO vector_changes (seq, token) VALUES (new.seq, random());
END;

-- Whoever is further behind reads all codes again, which is cheaper.
CREATE TRIGGER vector_changes_trim AFTER INSERT ON vector_changes
WHEN new.number % 1000 = 0 BEGIN
    DELETE FROM vector_changes WHERE number <= new.number - 20000;
END;

CREATE TABLE reflexion_episodes (
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    memory_id TEXT NOT NULL,
    trigger TEXT NOT NULL,
    context TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    reward REAL CHECK (reward BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    PRIMARY KEY (namespace, id),
    FOREIGN KEY (namespace, memory_id) REFERENCES memories (namespace, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX reflexion_episodes_by_memory
    ON reflexion_episodes (namespace, memory_id, created_at DESC, id);
CREATE INDEX reflexion_episodes_by_trigger
    ON reflexion_episodes (namespace, trigger, created_at DESC, id);

CREATE TABLE causal_edges (
    namespace TEXT NOT NULL CHECK (length(namespace) BETWEEN 1 AND 1000),
    id TEXT NOT NULL CHECK (id <> ''),
    from_memory TEXT NOT NULL,
    to_memory TEXT NOT NULL,
    weight REAL NOT NULL
        CHECK (weight BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    edge_type TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    evidence_count INTEGER NOT NULL CHECK (evidence_count >= 0),
    metadata_json TEXT CHECK (
        CASE WHEN json_valid(metadata_json) THEN json_type(metadata_json) = 'object'
        ELSE metadata_json IS NULL END),
    PRIMARY KEY (namespace, id),
    FOREIGN KEY (namespace, from_memory) REFERENCES memories (namespace, id) ON DELETE CASCADE,
    FOREIGN KEY (namespace, to_memory) REFERENCES memories (namespace, id) ON DELETE CASCADE
) STRICT;

-- The far end stands last in both, so that edges between two memories are told from the index of
-- one of them without visiting its other edges' rows.
CREATE INDEX causal_edges_outgoing
    ON causal_edges (namespace, from_memory, weight DESC, id, to_memory);
CREATE INDEX causal_edges_incoming
    ON causal_edges (namespace, to_memory, weight DESC, id, from_memory);
CREATE INDEX causal_edges_by_type ON causal_edges (namespace, edge_type, weight DESC, id);

-- Rows of an older program that break the rules, kept whole: no namespace, they belong to the file.
CREATE TABLE quarantine (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    row_json TEXT NOT NULL CHECK (json_valid(row_json)),
    reason TEXT NOT NULL
) STRICT;
