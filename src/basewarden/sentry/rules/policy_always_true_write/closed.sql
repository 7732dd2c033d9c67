DROP POLICY "anyone" ON notes;
