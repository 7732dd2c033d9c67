DROP POLICY "add" ON notes;
CREATE POLICY "add" ON notes FOR INSERT TO authenticated WITH CHECK (auth.uid() = user_id);
