CREATE TABLE orders (id int PRIMARY KEY, user_id uuid, total int);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW order_list AS SELECT * FROM orders;
GRANT SELECT ON order_list TO anon;
