CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, is_public boolean);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes FOR SELECT USING (user_id = (SELECT auth.uid()));
CREATE POLICY shown ON notes FOR SELECT USING (is_public);
GRANT SELECT ON notes TO authenticated;
