REVOKE ALL ON notes FROM anon;
