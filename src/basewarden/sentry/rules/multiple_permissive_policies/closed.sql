DROP POLICY own ON notes;
DROP POLICY shown ON notes;
CREATE POLICY own_or_shown ON notes FOR SELECT USING (user_id = (SELECT auth.uid()) OR is_public);
