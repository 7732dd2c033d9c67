DROP POLICY own ON notes;
CREATE POLICY own ON notes FOR SELECT USING (user_id = (SELECT auth.uid()));
