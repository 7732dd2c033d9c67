CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR UPDATE TO authenticated USING (user_id = auth.uid()) WITH CHECK (true);
GRANT SELECT, UPDATE ON notes TO authenticated;
