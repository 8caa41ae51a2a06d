-- Statements as services write them, one on a line, under the name of their database.
-- postgresql
SELECT id, email, created_at FROM users WHERE id = $1
SELECT u.id, u.name, p.bio FROM users u LEFT JOIN profiles p ON p.user_id = u.id WHERE u.email = $1 LIMIT 1
SELECT count(*) FROM orders WHERE status = ANY($1) AND placed_at >= now() - interval '7 days'
SELECT * FROM public.products ORDER BY price DESC NULLS LAST LIMIT $1 OFFSET $2
SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, placed_at DESC
SELECT EXISTS (SELECT 1 FROM users WHERE email = $1)
SELECT EXTRACT(EPOCH FROM created_at) AS at FROM events WHERE id = $1
SELECT coalesce(sum(total), 0) FROM invoices WHERE paid_at IS NULL
SELECT date_trunc('day', created_at) AS day, count(*) FROM signups GROUP BY 1 ORDER BY 1
SELECT a.id FROM accounts a WHERE EXISTS (SELECT 1 FROM transfers t WHERE t.account_id = a.id)
SELECT id FROM jobs WHERE state = 'ready' ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED
SELECT nextval('order_numbers')
SELECT pg_advisory_xact_lock($1)
SELECT now()
SELECT 1
SELECT version()
SELECT n FROM generate_series(1, 10) AS n
SELECT * FROM (SELECT id, rank() OVER (ORDER BY score DESC) AS r FROM players) ranked WHERE r <= 10
SELECT o.id, (SELECT count(*) FROM items i WHERE i.order_id = o.id) AS n FROM orders o
SELECT "user"."id", "user"."firstName" FROM "user" WHERE "user"."id" = $1
SELECT "Orders".* FROM "shop"."Orders" WHERE "Orders"."total" > 100
SELECT data->>'name' AS name FROM documents WHERE data @> '{"kind": "note"}'::jsonb
SELECT tags[1], array_length(tags, 1) FROM posts WHERE 'rust' = ANY(tags)
SELECT a IS DISTINCT FROM b FROM comparisons
SELECT trim(both ' ' FROM name) FROM customers
SELECT substring(code FROM 1 FOR 3) FROM vouchers WHERE code LIKE 'A%'
SELECT overlay(phone PLACING 'xxxx' FROM 3 FOR 4) FROM contacts
SELECT 'FROM nowhere' AS text, id FROM notes
SELECT $$it's FROM nowhere$$ AS text, id FROM notes
SELECT E'it\'s FROM nowhere', id FROM notes
SELECT id FROM products WHERE name ILIKE '%' || $1 || '%' /* search FROM box */
SELECT id -- the key FROM here
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'
SELECT relname, n_live_tup FROM pg_stat_user_tables
SELECT id FROM users UNION SELECT id FROM admins
SELECT id FROM active UNION ALL SELECT id FROM archived ORDER BY id
SELECT id FROM buyers EXCEPT SELECT id FROM sellers
(SELECT id FROM first_half) UNION ALL (SELECT id FROM second_half)
SELECT m.* FROM measurements m TABLESAMPLE SYSTEM (1)
SELECT p.id FROM posts p, comments c WHERE c.post_id = p.id
SELECT x.id FROM LATERAL (SELECT id FROM users) x
SELECT s.name, t.total FROM sellers s CROSS JOIN LATERAL (SELECT sum(amount) AS total FROM sales WHERE seller = s.id) t
SELECT CASE WHEN total > 100 THEN 'big' ELSE 'small' END FROM orders
SELECT count(*) FILTER (WHERE paid) FROM bills
SELECT id FROM ONLY parents
WITH recent AS (SELECT * FROM orders WHERE placed_at > $1) SELECT count(*) FROM recent
WITH RECURSIVE tree AS (SELECT id, parent FROM categories WHERE id = $1 UNION ALL SELECT c.id, c.parent FROM categories c JOIN tree t ON c.parent = t.id) SELECT * FROM tree
WITH moved AS (DELETE FROM carts WHERE updated_at < $1 RETURNING *) INSERT INTO old_carts SELECT * FROM moved
WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM c, a, b
WITH ranked AS MATERIALIZED (SELECT id FROM scores) UPDATE players SET seen = true WHERE id IN (SELECT id FROM ranked)
WITH gone AS (SELECT id FROM stale) DELETE FROM sessions WHERE id IN (SELECT id FROM gone)
INSERT INTO users (email, name) VALUES ($1, $2) RETURNING id
INSERT INTO products (sku, price) VALUES ($1, $2) ON CONFLICT (sku) DO UPDATE SET price = EXCLUDED.price
INSERT INTO audit.log (at, what) SELECT now(), what FROM pending
INSERT INTO counters DEFAULT VALUES
INSERT INTO tags (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING
UPDATE users SET last_seen = now() WHERE id = $1
UPDATE stock SET quantity = quantity - $1 FROM orders WHERE orders.sku = stock.sku
UPDATE jobs SET state = 'running' WHERE id = (SELECT id FROM jobs WHERE state = 'ready' LIMIT 1) RETURNING *
UPDATE ONLY parents SET name = 'x'
DELETE FROM sessions WHERE expires_at < now()
DELETE FROM carts USING users WHERE carts.user_id = users.id AND users.deleted
TRUNCATE TABLE staging
TRUNCATE events
CREATE TABLE IF NOT EXISTS notes (id bigserial PRIMARY KEY, body text NOT NULL)
CREATE TEMPORARY TABLE scratch AS SELECT * FROM source
CREATE UNIQUE INDEX users_email ON users (email)
CREATE VIEW totals AS SELECT sum(total) FROM orders
CREATE EXTENSION IF NOT EXISTS pg_trgm
ALTER TABLE users ADD COLUMN IF NOT EXISTS nickname text
DROP TABLE IF EXISTS scratch
DROP INDEX users_email
COPY products (sku, price) FROM STDIN
COPY (SELECT * FROM orders) TO STDOUT
MERGE INTO stock AS s USING arrivals AS a ON s.sku = a.sku WHEN MATCHED THEN UPDATE SET quantity = s.quantity + a.quantity WHEN NOT MATCHED THEN INSERT (sku, quantity) VALUES (a.sku, a.quantity)
VALUES (1, 'a'), (2, 'b')
TABLE settings
BEGIN
COMMIT
ROLLBACK
SAVEPOINT before
RELEASE SAVEPOINT before
SET search_path TO shop
SHOW server_version
EXPLAIN SELECT * FROM users
LISTEN changes
NOTIFY changes, 'payload'
-- mysql
SELECT `id`, `email` FROM `users` WHERE `id` = ?
SELECT * FROM orders WHERE user_id = ? ORDER BY created_at DESC LIMIT 20, 10
SELECT `u`.`name`, COUNT(*) AS `n` FROM `users` AS `u` INNER JOIN `orders` AS `o` ON `o`.`user_id` = `u`.`id` GROUP BY `u`.`id`
SELECT SQL_CALC_FOUND_ROWS id FROM posts WHERE status = 'publish'
SELECT option_value FROM wp_options WHERE option_name = 'siteurl' LIMIT 1
SELECT "FROM nowhere" AS text, id FROM notes
SELECT 'it\'s FROM nowhere', id FROM notes
SELECT "it\"s FROM nowhere", id FROM notes
SELECT id FROM `shop`.`products` WHERE MATCH(name) AGAINST(? IN BOOLEAN MODE)
SELECT id FROM stock WHERE sku = ? FOR UPDATE
SELECT JSON_EXTRACT(data, '$.name') FROM documents
SELECT GROUP_CONCAT(name ORDER BY name SEPARATOR ', ') FROM tags
SELECT IFNULL(MAX(position), 0) + 1 FROM list_items
SELECT LAST_INSERT_ID()
SELECT @@version
SELECT NOW() FROM DUAL
SELECT DATE_FORMAT(created_at, '%Y-%m') AS month, SUM(total) FROM invoices GROUP BY month
SELECT EXTRACT(YEAR FROM created_at) FROM invoices
SELECT a.id FROM a STRAIGHT_JOIN b ON a.id = b.id
SELECT t.id FROM (SELECT id FROM users) AS t
SELECT id FROM users USE INDEX (by_email) WHERE email = ?
SELECT id FROM t1 UNION SELECT id FROM t2
SELECT DISTINCT city FROM addresses WHERE country = 'NL'
WITH latest AS (SELECT MAX(id) AS id FROM events GROUP BY kind) SELECT e.* FROM events e JOIN latest USING (id)
INSERT INTO `users` (`email`, `name`) VALUES (?, ?)
INSERT INTO users SET email = ?, name = ?
INSERT IGNORE INTO tags (name) VALUES (?), (?)
INSERT INTO counters (name, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1
INSERT INTO archive SELECT * FROM orders WHERE placed_at < ?
INSERT LOW_PRIORITY INTO logs (line) VALUES (?)
REPLACE INTO sessions (id, data) VALUES (?, ?)
UPDATE `products` SET `stock` = `stock` - 1 WHERE `id` = ? AND `stock` > 0
UPDATE orders o JOIN users u ON u.id = o.user_id SET o.email = u.email
UPDATE jobs SET state = 'taken' WHERE state = 'ready' ORDER BY id LIMIT 1
DELETE FROM sessions WHERE expires < ?
DELETE FROM `carts` WHERE `user_id` = ? LIMIT 100
TRUNCATE TABLE cache_entries
CREATE TABLE IF NOT EXISTS `notes` (`id` INT AUTO_INCREMENT PRIMARY KEY, `body` TEXT) ENGINE=InnoDB
ALTER TABLE users ADD COLUMN nickname VARCHAR(50)
DROP TABLE IF EXISTS scratch
CREATE INDEX by_email ON users (email)
SHOW TABLES
SHOW VARIABLES LIKE 'max_connections'
SET NAMES utf8mb4
USE shop
START TRANSACTION
COMMIT
ROLLBACK
EXPLAIN SELECT * FROM users
CALL refresh_totals(?)
-- sqlite
SELECT id, name FROM items WHERE id = ?1
SELECT * FROM items WHERE name = :name AND price < @price
SELECT [id], [name] FROM [order items]
SELECT "id" FROM "items" ORDER BY "name" COLLATE NOCASE
SELECT `id` FROM `items`
SELECT last_insert_rowid()
SELECT changes()
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
SELECT rowid, * FROM notes WHERE notes MATCH ?1
SELECT json_extract(data, '$.kind') FROM documents WHERE id = ?
SELECT strftime('%Y-%m', created_at) AS month, count(*) FROM orders GROUP BY month HAVING count(*) > 1
SELECT value FROM json_each(?1)
SELECT max(id) + 1 FROM sequence
SELECT a.x, b.y FROM main.a AS a JOIN temp.b AS b ON a.id = b.id
SELECT x FROM a NATURAL JOIN b
SELECT id FROM a INTERSECT SELECT id FROM b
SELECT sum(n) OVER (PARTITION BY day ORDER BY hour) FROM visits
SELECT CAST(total AS REAL) / 100 FROM invoices
SELECT iif(done, 'yes', 'no') FROM todos
SELECT * FROM todos WHERE done = 0 AND title GLOB '*milk*'
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10) SELECT n FROM numbers
WITH old AS (SELECT id FROM todos WHERE done = 1) DELETE FROM todos WHERE id IN (SELECT id FROM old)
WITH x AS (SELECT 1 AS id) INSERT INTO todos (id) SELECT id FROM x
INSERT INTO todos (title) VALUES (?1)
INSERT OR IGNORE INTO tags (name) VALUES (?)
INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)
INSERT INTO todos (title) VALUES (?1) ON CONFLICT (title) DO UPDATE SET seen = seen + 1
INSERT INTO todos (title) VALUES (?1) RETURNING id, title
REPLACE INTO settings (key, value) VALUES ('theme', 'dark')
UPDATE todos SET done = 1 WHERE id = ?1
UPDATE OR IGNORE tags SET name = lower(name)
UPDATE todos SET title = 'FROM here' WHERE id = 1
DELETE FROM todos WHERE done = 1
DELETE FROM "todos"
CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0)
CREATE TABLE IF NOT EXISTS tags (name TEXT UNIQUE)
CREATE TEMP TABLE scratch (x)
CREATE VIRTUAL TABLE notes USING fts5(body)
CREATE INDEX todos_done ON todos (done)
CREATE TRIGGER seen AFTER INSERT ON todos BEGIN UPDATE counters SET n = n + 1; END
ALTER TABLE todos RENAME TO tasks
ALTER TABLE todos ADD COLUMN due TEXT
DROP TABLE todos
DROP TABLE IF EXISTS todos
PRAGMA journal_mode = WAL
PRAGMA foreign_keys
BEGIN IMMEDIATE
COMMIT
SAVEPOINT one
RELEASE one
VACUUM
ANALYZE
ATTACH DATABASE 'other.db' AS other
EXPLAIN QUERY PLAN SELECT * FROM todos
