CREATE OR REPLACE FUNCTION is_admin() RETURNS boolean LANGUAGE sql STABLE AS
  $$SELECT (auth.jwt() -> 'app_metadata' ->> 'role') = 'admin'$$;
