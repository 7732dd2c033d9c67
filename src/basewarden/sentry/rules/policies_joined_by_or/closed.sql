DROP POLICY "test, remove later" ON notes;
