CREATE TABLE notes (id int PRIMARY KEY, body text);
INSERT INTO notes VALUES (1, 'a');
GRANT SELECT ON notes TO anon;
