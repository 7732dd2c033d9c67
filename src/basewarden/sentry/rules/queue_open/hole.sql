CREATE SCHEMA pgmq;
CREATE TABLE pgmq.meta (queue_name text PRIMARY KEY);
CREATE TABLE pgmq.q_mails (msg_id bigint PRIMARY KEY, message jsonb);
GRANT USAGE ON SCHEMA pgmq TO anon;
GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA pgmq TO anon;
