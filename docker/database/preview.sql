-- The database of one preview in its environment's server: made, dropped, or all of them listed. Run by the server's owner,
-- whose password is in no container of a preview. The preview's own comes as a SCRAM verifier, which opens nothing.
-- Running it twice changes nothing.
--
--   ACTION        make, drop or list
--   NAME          of the database, and of the role that owns it and no other: preview_...
--   VERIFIER      of the role's password
--   CONNECTIONS   how many the role may have, so that none takes them from the environment or from other previews

\getenv action ACTION
\getenv name NAME
\getenv verifier VERIFIER
\getenv connections CONNECTIONS

SELECT :'action' = 'make' AS make, :'action' = 'drop' AS drop, :'action' = 'list' AS list \gset

\if :list
    \pset tuples_only on
    \pset format unaligned
    SELECT 'database ' || datname FROM pg_database WHERE datname ~ '^preview_[a-z0-9_]+$' ORDER BY datname;
    \quit
\endif

-- Whoever may run this gets at nothing but previews with it.
SELECT :'name' !~ '^preview_[a-z0-9_]+$' AS foreign \gset
\if :foreign
    SELECT ('not the database of a preview: ' || :'name')::int;
\endif

\if :make
    SELECT format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
    SET password_encryption = 'scram-sha-256';
    SELECT format('ALTER ROLE %I PASSWORD %L CONNECTION LIMIT %s', :'name', :'verifier', :'connections') \gexec
    -- Whoever makes a role may do this to it, but has to be a member to give it a database (Postgres 16).
    SELECT format('GRANT %I TO CURRENT_USER', :'name') \gexec
    SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
    SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', :'name') \gexec
    \echo The preview has its database.
\endif

\if :drop
    -- Its tasks may still run: nobody comes in any more, then those who are in go.
    SELECT format('ALTER ROLE %I NOLOGIN', :'name') FROM pg_roles WHERE rolname = :'name' \gexec
    SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', :'name') \gexec
    SELECT format('DROP ROLE IF EXISTS %I', :'name') \gexec
    \echo The preview has no database any more.
\endif
