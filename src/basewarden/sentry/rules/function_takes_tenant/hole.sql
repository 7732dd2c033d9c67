CREATE TABLE invoices (id int PRIMARY KEY, tenant_id uuid, total numeric);
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION list_invoices(p_tenant_id uuid) RETURNS SETOF invoices LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF auth.uid() IS NULL THEN RAISE EXCEPTION 'sign in first'; END IF;
  RETURN QUERY SELECT * FROM public.invoices WHERE tenant_id = p_tenant_id;
END $$;
