DROP POLICY "all" ON people;
