-- Who changed a row last, and when.

create function stamp_update() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  new.updated_by := coalesce(auth.uid()::text, current_user);
  return new;
end
$$;

create trigger stamp_update before update on customers for each row execute function stamp_update();
create trigger stamp_update before update on addresses for each row execute function stamp_update();
create trigger stamp_update before update on products for each row execute function stamp_update();
create trigger stamp_update before update on stock for each row execute function stamp_update();
create trigger stamp_update before update on coupons for each row execute function stamp_update();
create trigger stamp_update before update on orders for each row execute function stamp_update();
create trigger stamp_update before update on tickets for each row execute function stamp_update();

-- Functions to call

create function order_total(order_id bigint) returns numeric language sql stable set search_path = '' as $$
  select o.shipping_fee + coalesce(sum(i.line_total), 0)
  from public.orders o left join public.order_items i on i.order_id = o.id
  where o.id = order_total.order_id
  group by o.id
$$;
comment on function order_total is 'What an order costs with shipping; empty for an unknown order.';

create function search_products(q text, only_active boolean default true) returns setof products
language sql stable set search_path = '' as $$
  select p.* from public.products p
  where (p.name ilike '%' || q || '%' or q = any (p.tags)) and (p.status = 'active' or not only_active)
  order by p.name, p.id
$$;
comment on function search_products is 'Products whose name holds the words or that carry the tag.';

create function shipping_quote(weight_g numeric, country text default 'DE', express boolean default false)
returns numeric language sql immutable set search_path = '' as $$
  select case country when 'DE' then 4.90 when 'AT' then 8.90 when 'CH' then 14.50 else 12.90 end
    + case when weight_g > 5000 then 6.00 else 0.00 end
    + case when express then 7.50 else 0.00 end
$$;
comment on function shipping_quote is 'What the carrier takes for a parcel.';

create function restock(warehouse text, product bigint, quantity integer) returns stock
language plpgsql set search_path = '' as $$
declare
  restocked public.stock;
begin
  if quantity <= 0 then
    raise exception 'A delivery of % pieces is none', quantity using errcode = '22023';
  end if;
  insert into public.stock as s (warehouse_code, product_id, on_hand, lead_time, days_of_cover)
  values (warehouse, product, quantity, '14 days', 'infinity')
  on conflict (warehouse_code, product_id) do update set on_hand = s.on_hand + excluded.on_hand
  returning s.* into restocked;
  update public.products set status = 'active' where id = product and status = 'sold_out';
  return restocked;
end
$$;
comment on function restock is 'Books a delivery in; a sold-out product is on sale again.';

-- HOLE: a definer function that believes the caller about whose history to show; it steps over every policy.
create function customer_history(customer uuid)
returns table (number text, status order_status, placed_at timestamptz, total numeric)
language sql stable security definer set search_path = '' as $$
  select o.number, o.status, o.placed_at, public.order_total(o.id)
  from public.orders o where o.customer_id = customer order by o.placed_at desc
$$;
comment on function customer_history is 'The orders of one customer, newest first.';

-- Views

-- HOLE: a view without security_invoker reads as its owner, who bypasses row level security: names, email
-- addresses and order values of everyone, for anyone.
create view order_overview as
  select o.number, o.status, o.placed_at, c.full_name, c.email, order_total(o.id) as total
  from orders o join customers c on c.id = o.customer_id;
comment on view order_overview is 'Orders with their customer, for the packing table''s screen.';

-- Right: reads as whoever asks.
create view price_list with (security_invoker = true) as
  select p.id, p.sku, p.name, p.status, r.amount, r.currency
  from products p join prices r on r.product_id = p.id and upper_inf(r.validity);
comment on view price_list is 'What everything costs today.';
