CREATE VIEW members AS SELECT id, email FROM auth.users;
GRANT SELECT ON members TO authenticated;
