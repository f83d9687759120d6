-- The database that those of previews begin as a copy of: opened before the app's own commands fill it, closed after. Run
-- by the server's owner, in containers without any code of the app. It is filled under another name and takes its place
-- when it is whole: one that failed is never copied, and the one before it is there until then.
--
--   ACTION        open or close
--   TEMPLATE      of the database, and of the role that owns what is in it; nobody logs in as that
--   SEED          the role that fills it; logs in between the two, and gets at no other database
--   SEED_VERIFIER of its password

\getenv action ACTION
\getenv template TEMPLATE
\getenv seed SEED
\getenv verifier SEED_VERIFIER
SELECT :'action' = 'open' AS open, :'template' || '_next' AS next, :'template' || '_former' AS former, :'DBNAME' AS home \gset

\if :open
    SELECT format('CREATE ROLE %I NOLOGIN', :'template')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'template') \gexec
    SELECT format('CREATE ROLE %I NOCREATEDB NOCREATEROLE', :'seed')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'seed') \gexec
    SET password_encryption = 'scram-sha-256';
    SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', :'seed', :'verifier') \gexec
    -- Whoever makes a role may do this to it, but has to be a member to give it something, or take it (Postgres 16).
    SELECT format('GRANT %I, %I TO CURRENT_USER', :'template', :'seed') \gexec
    SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', name) FROM unnest(ARRAY[:'next', :'former']) AS name \gexec
    SELECT format('CREATE DATABASE %I OWNER %I', :'next', :'seed') \gexec
    SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', :'next') \gexec
    \echo The template of previews is open.
\else
    SELECT format('ALTER ROLE %I NOLOGIN', :'seed') \gexec
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :'seed' \g /dev/null
    -- Its role never owns a database: REASSIGN OWNED, in a copy, hands over databases as well, wherever they are.
    SELECT format('ALTER DATABASE %I OWNER TO CURRENT_USER', :'next') \gexec
    \connect :"next"
    BEGIN;
    -- Whoever is given a function has to be allowed to make one where it is.
    SELECT format('GRANT %I TO %I', :'seed', :'template') \gexec
    SELECT format('GRANT CREATE ON SCHEMA public TO %I', :'template') \gexec
    SELECT format('REASSIGN OWNED BY %I TO %I', :'seed', :'template') \gexec
    SELECT format('REVOKE CREATE ON SCHEMA public FROM %I', :'template') \gexec
    SELECT format('REVOKE %I FROM %I', :'seed', :'template') \gexec
    COMMIT;
    \connect :"home"
    -- Nobody but a superuser connects any more. Not by ALLOW_CONNECTIONS false: a major upgrade (pg_upgrade, so RDS's
    -- too) refuses a server with such a database, and connects to each as a superuser, whom no limit holds.
    SELECT format('ALTER DATABASE %I CONNECTION LIMIT 0', :'next') \gexec
    BEGIN;
    SELECT format('ALTER DATABASE %I RENAME TO %I', :'template', :'former')
    WHERE EXISTS (SELECT FROM pg_database WHERE datname = :'template') \gexec
    SELECT format('ALTER DATABASE %I RENAME TO %I', :'next', :'template') \gexec
    COMMIT;
    SELECT format('DROP DATABASE IF EXISTS %I', :'former') \gexec
    \echo The template of previews is whole, and closed.
\endif
