CREATE TABLE notes (id int PRIMARY KEY, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "anyone" ON notes FOR ALL USING (id = id);
GRANT ALL ON notes TO anon, authenticated;
