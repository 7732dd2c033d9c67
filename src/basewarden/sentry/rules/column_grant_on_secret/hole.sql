CREATE TABLE people (id int PRIMARY KEY, name text, password_hash text);
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY "all" ON people FOR SELECT USING (true);
GRANT SELECT (id, name, password_hash) ON people TO anon;
