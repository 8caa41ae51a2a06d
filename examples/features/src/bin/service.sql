CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, stock INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, product INTEGER NOT NULL REFERENCES products);
INSERT INTO products (name, stock) VALUES ('paddle', 100), ('canoe', 3), ('outrigger', 1);
