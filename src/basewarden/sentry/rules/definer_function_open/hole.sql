CREATE TABLE notes (id int PRIMARY KEY, body text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION empty_notes() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS
  'DELETE FROM public.notes';
