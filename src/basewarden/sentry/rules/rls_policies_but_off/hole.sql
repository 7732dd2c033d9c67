CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);
CREATE POLICY own ON notes USING (owner = auth.uid());
GRANT SELECT ON notes TO anon;
