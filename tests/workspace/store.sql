create type shade as enum ('light', 'dark');

create table makers (id int primary key, name text not null);
insert into makers values (1, 'Hallam & Daughters'), (2, 'Nordvik');

create table lamps (
  id       bigint generated always as identity primary key,
  maker_id int references makers on delete restrict,
  name     text not null,
  note     text default 'none yet',
  price    numeric,
  shade    shade,
  lit      boolean not null default false,
  extras   jsonb,
  parts    text[],
  doubled  numeric generated always as (price * 2) stored
);
comment on column lamps.price is 'Net, in euro.';
insert into lamps (maker_id, name, note, price, shade, lit, extras, parts) values
  (1, 'Reading lamp', '', 12345678901234567890.12345678901234567890, 'light', true, '{"watt": 9.0}', '{base,bulb}'),
  (2, 'Desk lamp', null, 40, 'dark', false, null, null),
  (null, 'Lantern <b>', E'two\nlines', 7, null, false, '{"b": 1, "a": 2}', '{}');

create table bulbs (lamp_id bigint not null references lamps on delete cascade, slot text, primary key (lamp_id, slot));
insert into bulbs values (1, 'left'), (1, 'right'), (2, 'a/b, c.d ü%');

create table stickers (lamp_id bigint references lamps on delete set null, id int primary key);
insert into stickers values (1, 1);

create table words (word text primary key, meaning text);
insert into words values ('new', 'a word that is also a deed'), ('', 'the empty word'), ('..', 'up'), ('a b/c,d', 'odd');

create table heap (line text);
insert into heap values ('no key here');

create view cheap as select id, name from lamps where price < 10;

create table "odd.name" ("select" int primary key, "a ""b""" text);
insert into "odd.name" values (1, 'x');
