-- What a Supabase project made before 2026 brings with it: the auth schema and generous default grants.

create schema auth;

create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

create function auth.uid() returns uuid language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

create function auth.role() returns text language sql stable as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

create table auth.users (
  id                 uuid primary key default gen_random_uuid(),
  email              varchar(255) not null unique,
  encrypted_password varchar(255) not null,
  raw_app_meta_data  jsonb not null default '{"provider": "email"}',
  raw_user_meta_data jsonb,
  banned_until       timestamptz,
  last_sign_in_at    timestamptz,
  created_at         timestamptz not null default now()
);
comment on table auth.users is 'Sign-in accounts. Customers who bought as guests have none.';
comment on column auth.users.raw_user_meta_data is 'Written by the user''s own browser: never a place for rights.';
comment on column auth.users.banned_until is 'Infinity for good.';

grant usage on schema auth to anon, authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;

-- HOLE: every table, sequence and function made in public from here on is open to everyone, writes included;
-- only row level security stands between a visitor and the data.
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
