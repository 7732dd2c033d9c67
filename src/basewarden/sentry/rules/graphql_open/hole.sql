CREATE SCHEMA graphql;
CREATE FUNCTION graphql.resolve(query text) RETURNS jsonb LANGUAGE sql AS $$SELECT '{}'::jsonb$$;
GRANT USAGE ON SCHEMA graphql TO anon, authenticated;
CREATE TABLE notes (id int PRIMARY KEY, body text);
GRANT SELECT ON notes TO anon;
