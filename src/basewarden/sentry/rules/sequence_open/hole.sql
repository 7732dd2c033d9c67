CREATE TABLE notes (id serial PRIMARY KEY, body text);
CREATE TABLE tags (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated;
