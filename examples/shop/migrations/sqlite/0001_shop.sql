-- Times are milliseconds since the Unix epoch, money is in cents.

CREATE TABLE categories (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE products (
    id          INTEGER PRIMARY KEY,
    category_id INTEGER NOT NULL REFERENCES categories (id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    stock       INTEGER NOT NULL CHECK (stock >= 0),
    -- What a delivery brings up to; 0 for the last pieces of something that is not made any more.
    restock_to  INTEGER NOT NULL CHECK (restock_to >= 0)
) STRICT;

CREATE INDEX products_by_category ON products (category_id, id);

CREATE VIRTUAL TABLE product_search USING fts5 (
    name,
    description,
    content = 'products',
    content_rowid = 'id',
    tokenize = 'porter unicode61'
);

CREATE TRIGGER product_search_insert AFTER INSERT ON products BEGIN
    INSERT INTO product_search (rowid, name, description) VALUES (new.id, new.name, new.description);
END;

CREATE TRIGGER product_search_update AFTER UPDATE OF name, description ON products BEGIN
    INSERT INTO product_search (product_search, rowid, name, description)
        VALUES ('delete', old.id, old.name, old.description);
    INSERT INTO product_search (rowid, name, description) VALUES (new.id, new.name, new.description);
END;

CREATE TRIGGER product_search_delete AFTER DELETE ON products BEGIN
    INSERT INTO product_search (product_search, rowid, name, description)
        VALUES ('delete', old.id, old.name, old.description);
END;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

-- A stolen copy of the database must not let anybody in: only hashes of tokens are kept.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, expires_at);

CREATE TABLE cart_items (
    user_id    INTEGER NOT NULL REFERENCES users (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity   INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (user_id, product_id)
) STRICT, WITHOUT ROWID;

-- Orders are their own outbox: what is neither notified nor failed still has work waiting for it.
CREATE TABLE orders (
    id          INTEGER PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES users (id),
    status      TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'notified', 'failed')),
    total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX orders_unfinished ON orders (id) WHERE status IN ('pending', 'paid');

CREATE TABLE order_items (
    order_id         INTEGER NOT NULL REFERENCES orders (id),
    product_id       INTEGER NOT NULL REFERENCES products (id),
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    unit_price_cents INTEGER NOT NULL CHECK (unit_price_cents > 0),
    PRIMARY KEY (order_id, product_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX order_items_by_product ON order_items (product_id);

CREATE TABLE notifications (
    order_id INTEGER PRIMARY KEY REFERENCES orders (id),
    message  TEXT NOT NULL,
    sent_at  INTEGER NOT NULL
) STRICT;
