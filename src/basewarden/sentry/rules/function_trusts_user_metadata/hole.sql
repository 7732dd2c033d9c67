CREATE FUNCTION is_admin() RETURNS boolean LANGUAGE sql STABLE AS
  $$SELECT (auth.jwt() -> 'user_metadata' ->> 'role') = 'admin'$$;
