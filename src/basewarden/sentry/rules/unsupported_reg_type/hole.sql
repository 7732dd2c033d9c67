CREATE TABLE jobs (id int PRIMARY KEY, runs regproc);
