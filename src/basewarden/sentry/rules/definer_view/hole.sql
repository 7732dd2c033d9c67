CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE VIEW all_notes AS SELECT id, body FROM notes;
GRANT SELECT ON all_notes TO anon;
