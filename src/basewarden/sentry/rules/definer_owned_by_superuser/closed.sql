ALTER FUNCTION version_of_app() OWNER TO service_role;
