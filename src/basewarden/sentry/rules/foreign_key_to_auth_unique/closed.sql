ALTER TABLE profiles DROP CONSTRAINT profiles_email_fkey;
