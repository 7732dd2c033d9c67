CREATE TABLE notes (id int PRIMARY KEY, user_id uuid);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR SELECT USING (user_id = auth.uid());
GRANT SELECT ON notes TO authenticated;
