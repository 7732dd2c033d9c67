DROP POLICY own ON notes;
CREATE POLICY own ON notes FOR UPDATE TO authenticated USING (user_id = auth.uid());
