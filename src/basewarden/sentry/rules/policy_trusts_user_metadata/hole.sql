CREATE TABLE notes (id int PRIMARY KEY, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY admins ON notes FOR SELECT TO authenticated
  USING (auth.jwt() -> 'user_metadata' ->> 'role' = 'admin');
GRANT SELECT ON notes TO authenticated;
