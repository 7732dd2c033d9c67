CREATE FUNCTION version_of_app() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$SELECT '1.0'$$;
