CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR SELECT USING (user_id = auth.uid());
CREATE POLICY "test, remove later" ON notes FOR SELECT USING (true);
GRANT SELECT ON notes TO anon, authenticated;
