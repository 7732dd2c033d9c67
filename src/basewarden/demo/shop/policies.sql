-- Row level security as a small company leaves it: half of it is right. Each hole is named where it is.

-- Shop window: anyone may look, nobody but staff (service_role) may touch. Right.
alter table categories enable row level security;
alter table products enable row level security;
alter table prices enable row level security;
alter table warehouses enable row level security;
create policy "anyone reads categories" on categories for select using (true);
create policy "anyone reads products on sale" on products for select using (status <> 'draft');
create policy "anyone reads prices" on prices for select using (true);
create policy "anyone reads warehouses" on warehouses for select using (true);

-- Staff only: security on, no policy. Right.
alter table stock enable row level security;

-- HOLE: an exposed table without row level security: anyone reads every code and writes one for 100 percent.
alter table coupons disable row level security;

-- HOLE: USING (true) over personal data: meant for the greeting on the page, it shows every email and birthday.
alter table customers enable row level security;
create policy "profiles are visible" on customers for select using (true);
create policy "own profile is editable" on customers for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

-- HOLE: "signed in" is taken for "owner": any account reads and changes every address.
alter table addresses enable row level security;
create policy "users manage their addresses" on addresses for all
  using (auth.role() = 'authenticated') with check (auth.role() = 'authenticated');

-- Own orders and their lines. Right.
alter table orders enable row level security;
create policy "own orders" on orders for select to authenticated using (
  exists (select from customers c where c.id = customer_id and c.user_id = (select auth.uid()))
);
alter table order_items enable row level security;
create policy "lines of own orders" on order_items for select to authenticated using (
  exists (
    select from orders o join customers c on c.id = o.customer_id
    where o.id = order_id and c.user_id = (select auth.uid())
  )
);

-- HOLE: inverted logic: the test for "nobody is signed in" was to shut guests out and lets only them in.
alter table payments enable row level security;
create policy "no payments for guests" on payments for select using ((select auth.uid()) is null);

-- HOLE: reading was taken away, writing was forgotten: no security, and anyone may insert, change, delete, truncate.
revoke select on refunds from anon, authenticated;

-- Own invoices, and never a write. Right.
alter table invoices enable row level security;
revoke insert, update, delete, truncate, references, trigger on invoices from anon, authenticated;
create policy "own invoices" on invoices for select to authenticated using (
  exists (select from customers c where c.id = customer_id and c.user_id = (select auth.uid()))
);

-- Own tickets: right. HOLE: the contact form lets anyone write any row, in any name.
alter table tickets enable row level security;
create policy "own tickets" on tickets for select to authenticated using (
  exists (select from customers c where c.id = customer_id and c.user_id = (select auth.uid()))
);
create policy "contact form" on tickets for insert with check (true);

-- HOLE: trusts user_metadata, which every user writes into their own token.
alter table messages enable row level security;
create policy "staff reads all messages" on messages for select to authenticated
  using ((auth.jwt() -> 'user_metadata' ->> 'is_staff')::boolean);
