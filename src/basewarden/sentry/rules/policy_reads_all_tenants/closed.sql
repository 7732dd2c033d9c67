DROP POLICY "users read" ON invoices;
