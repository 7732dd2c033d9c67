CREATE TABLE authors (id int PRIMARY KEY);
CREATE TABLE notes (id int PRIMARY KEY, author_id int REFERENCES authors);
