DROP POLICY admins ON notes;
CREATE POLICY admins ON notes FOR SELECT TO authenticated
  USING (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin');
