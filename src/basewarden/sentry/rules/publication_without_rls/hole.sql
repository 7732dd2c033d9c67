CREATE TABLE notes (id int PRIMARY KEY, body text);
GRANT SELECT ON notes TO anon;
CREATE PUBLICATION supabase_realtime FOR TABLE notes;
