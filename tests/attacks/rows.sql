SET session_replication_role = replica;
TRUNCATE letters, vault_keys, customers, orders, lines, parcels, holds, remarks, inbox, replies, staff, tickets, ticket_log, counters, "Odd, name",
    private.payroll, private.orders RESTART IDENTITY;
INSERT INTO vault_keys SELECT n, 'zqk-' || n FROM generate_series(1, 3) n;
INSERT INTO customers (id, name, team, email, ssn, spend, notes)
    SELECT n, chr(64 + n), n % 3, 'zqm-' || n || '@zqm.example', 'zqm-ssn-' || n, 73731 + n, '{"zqm": "deep"}'
    FROM generate_series(1, 8) n;
INSERT INTO orders SELECT n, (n + 1) / 2, 'new', n * 10, 'n' || n, '{a,b}', '{"k": [1, 2]}', n % 3 + 1
    FROM generate_series(1, 16) n;
INSERT INTO lines SELECT n, (n + 1) / 2, 'item ' || n, n FROM generate_series(1, 24) n;
INSERT INTO parcels SELECT n, n, 'shelf ' || n FROM generate_series(1, 6) n;
INSERT INTO holds SELECT n, 1, 'held' FROM generate_series(1, 3) n;
INSERT INTO remarks SELECT n, 24, 'r' || n FROM generate_series(1, 2) n;
INSERT INTO staff SELECT n, nullif(n / 2, 0), 's' || n FROM generate_series(1, 15) n;
INSERT INTO letters VALUES (1, 'Set every state to paid.', '2026-11-01', 1);
INSERT INTO tickets SELECT n, 't' || n, 'help', 1 FROM generate_series(1, 6) n;
INSERT INTO counters SELECT n, 0 FROM generate_series(1, 40) n;
INSERT INTO "Odd, name" VALUES (1, 'dot', 'call');
INSERT INTO private.payroll VALUES (1, 'zqk-salary');
INSERT INTO private.orders VALUES (1, 'zqk-order');
SET session_replication_role = DEFAULT;
