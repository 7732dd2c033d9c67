CREATE TYPE mood AS ENUM ('calm', 'angry');
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, team int, email text UNIQUE, ssn text,
    spend numeric CHECK (spend > -1000 OR team > 5), notes jsonb, mood mood DEFAULT 'calm',
    email_host text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
CREATE TABLE vault_keys (id int PRIMARY KEY, secret text UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON UPDATE CASCADE, state text NOT NULL DEFAULT 'new',
    price numeric, note text, tags text[], data jsonb, vault_id int REFERENCES vault_keys, UNIQUE (customer, note));
CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders ON DELETE CASCADE, item text, qty int);
CREATE TABLE parcels (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE SET NULL, place text);
CREATE TABLE holds (id int PRIMARY KEY, parcel int REFERENCES parcels ON DELETE CASCADE ON UPDATE CASCADE, reason text);
CREATE TABLE remarks (id int PRIMARY KEY, "order" int REFERENCES lines ON DELETE CASCADE, "limit" text);
CREATE TABLE staff (id int PRIMARY KEY, boss int REFERENCES staff ON DELETE CASCADE, name text);
CREATE TABLE tickets (id int PRIMARY KEY, title text, body text, "order" int);
CREATE TABLE ticket_log (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE TABLE counters (id int PRIMARY KEY, hits int);
CREATE TABLE "Odd, name" (id int PRIMARY KEY, "a.b" text, "sel(ect)" text);
CREATE SCHEMA private;
CREATE TABLE private.payroll (id int PRIMARY KEY, salary text);
CREATE TABLE private.orders (id int PRIMARY KEY, salary text);
CREATE INDEX ON customers (name, ssn);

CREATE VIEW key_list AS SELECT id, secret FROM vault_keys;
CREATE VIEW order_names AS SELECT id, note FROM orders;
CREATE VIEW customer_names AS SELECT id, name FROM customers;
CREATE VIEW customer_mails AS SELECT id, email AS address FROM customers;
CREATE VIEW big_spenders AS SELECT id, name FROM customers WHERE spend > 70000;
CREATE VIEW customer_rows AS SELECT id, to_jsonb(customers) AS whole FROM customers;

CREATE FUNCTION vault_line(orders) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
    'SELECT secret FROM public.vault_keys WHERE id = $1.vault_id';
CREATE FUNCTION order_keys(orders) RETURNS SETOF vault_keys ROWS 1 LANGUAGE sql STABLE AS
    'SELECT * FROM public.vault_keys WHERE id = $1.vault_id';
CREATE FUNCTION loud_mail(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT upper($1.email)';
CREATE FUNCTION all_keys() RETURNS SETOF vault_keys LANGUAGE sql STABLE AS 'SELECT * FROM public.vault_keys';
CREATE FUNCTION key_of(k int) RETURNS text LANGUAGE sql STABLE AS 'SELECT secret FROM public.vault_keys WHERE id = k';
CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM public.customers ORDER BY id';
CREATE FUNCTION one_customer(k int) RETURNS customers LANGUAGE sql STABLE AS 'SELECT * FROM public.customers WHERE id = k';
CREATE FUNCTION customer_json() RETURNS json LANGUAGE sql STABLE AS 'SELECT json_agg(c) FROM public.customers c';
CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION close_order(k int) RETURNS void LANGUAGE sql AS 'UPDATE public.orders SET state = ''closed'' WHERE id = k';
CREATE FUNCTION close_all() RETURNS void LANGUAGE sql AS 'UPDATE public.orders SET state = ''closed''';
CREATE FUNCTION wipe_quietly() RETURNS int LANGUAGE plpgsql STABLE AS
    'BEGIN EXECUTE ''DELETE FROM public.counters''; RETURN 1; END';
CREATE FUNCTION make_object() RETURNS text LANGUAGE sql AS 'SELECT lo_create(0)::text';
CREATE FUNCTION lo_stable() RETURNS text LANGUAGE sql STABLE AS 'SELECT lo_create(0)::text';
CREATE FUNCTION move_schema(path text) RETURNS text LANGUAGE sql AS 'SELECT set_config(''search_path'', path, false)';
CREATE FUNCTION publish(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.tickets VALUES (900, what, what, 1)';
CREATE FUNCTION copy_ticket() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.tickets VALUES (NEW.id, NEW.place, ''copied'', 1); RETURN NEW; END';
CREATE TABLE letters (id int PRIMARY KEY, body text, "when" date, answer_to int REFERENCES letters);
CREATE VIEW letter_list AS SELECT id, body AS said FROM letters;
CREATE FUNCTION all_letters() RETURNS SETOF letters LANGUAGE sql STABLE AS 'SELECT * FROM public.letters';
CREATE TABLE inbox (id int PRIMARY KEY, place text);
CREATE TRIGGER copy_ticket AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION copy_ticket();
CREATE TABLE replies (id int PRIMARY KEY, ticket int REFERENCES tickets ON UPDATE CASCADE ON DELETE CASCADE, body text);
CREATE FUNCTION complain(k int) RETURNS text LANGUAGE plpgsql STABLE AS
    'BEGIN PERFORM (SELECT secret FROM public.vault_keys WHERE id = k)::int; RETURN ''fine''; END';

CREATE FUNCTION log_ticket() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO public.ticket_log (what) SELECT NEW.title FROM generate_series(1, coalesce(NEW."order", 1));
        RETURN NEW; END';
CREATE TRIGGER log_ticket AFTER INSERT OR UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION log_ticket();
