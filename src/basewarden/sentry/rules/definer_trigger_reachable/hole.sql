CREATE TABLE notes (id int PRIMARY KEY, body text);
CREATE TABLE totals (id int PRIMARY KEY, n int);
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS
  'BEGIN UPDATE public.totals SET n = n + 1; RETURN new; END';
CREATE TRIGGER counted AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION count_up();
GRANT INSERT ON notes TO anon;
