CREATE TABLE profiles (id uuid PRIMARY KEY, name text, email text, is_public boolean);
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY "public ones" ON profiles FOR SELECT USING (is_public);
GRANT SELECT ON profiles TO anon;
