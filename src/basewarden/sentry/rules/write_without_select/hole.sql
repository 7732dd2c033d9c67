CREATE TABLE notes (id int PRIMARY KEY, body text);
GRANT INSERT, DELETE ON notes TO anon;
