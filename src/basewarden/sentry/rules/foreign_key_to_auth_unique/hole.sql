CREATE TABLE profiles (id int PRIMARY KEY, email text REFERENCES auth.users (email));
