CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "add" ON notes FOR INSERT TO authenticated WITH CHECK (auth.uid() IS NOT NULL);
GRANT INSERT ON notes TO authenticated;
