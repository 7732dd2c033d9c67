DROP POLICY users ON notes;
CREATE POLICY users ON notes FOR ALL USING (user_id = (SELECT auth.uid()));
