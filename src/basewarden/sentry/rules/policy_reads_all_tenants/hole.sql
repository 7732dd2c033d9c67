CREATE TABLE invoices (id int PRIMARY KEY, tenant_id uuid, total int);
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY "users read" ON invoices FOR SELECT TO authenticated USING (true);
GRANT SELECT ON invoices TO authenticated;
