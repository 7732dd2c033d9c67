CREATE TABLE notes (id int PRIMARY KEY, body text);
CREATE FUNCTION count_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM notes';
