CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY users ON notes FOR ALL USING (auth.role() = 'authenticated');
GRANT ALL ON notes TO anon, authenticated;
