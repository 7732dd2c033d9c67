DROP VIEW members;
CREATE VIEW members AS SELECT id, email FROM auth.users WHERE id = (SELECT auth.uid());
GRANT SELECT ON members TO authenticated;
