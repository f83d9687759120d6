-- The database of one preview in its environment's server: made, dropped, or all of them listed. Run by the server's owner,
-- whose password is in no container of a preview. The preview's own comes as a SCRAM verifier, which opens nothing.
-- Running it twice changes nothing.
--
--   ACTION        make, drop or list
--   NAME          of the database, and of the role that owns it and no other: preview_...
--   VERIFIER      of the role's password
--   TEMPLATE      the database that a new one begins as a copy of (template.sql); none: it begins empty
--   CONNECTIONS   how many the role may have, so that none takes them from the environment or from other previews

\getenv action ACTION
\getenv name NAME
\getenv verifier VERIFIER
\getenv connections CONNECTIONS
\set template ''
\getenv template TEMPLATE

SELECT :'action' = 'make' AS make, :'action' = 'drop' AS drop, :'action' = 'list' AS list \gset

\if :list
    \pset tuples_only on
    \pset format unaligned
    SELECT 'database ' || datname FROM pg_database WHERE datname ~ '^preview_[a-z0-9_]+$' ORDER BY datname;
    \quit
\endif

-- Whoever may run this gets at nothing but previews with it, and copies nothing but what is there to be copied.
SELECT :'name' !~ '^preview_[a-z0-9_]+$' AS foreign \gset
\if :foreign
    SELECT ('not the database of a preview: ' || :'name')::int;
\endif
SELECT :'template' <> '' AS copied, :'template' !~ '^([a-z0-9_]+_template)?$' AS foreign \gset
\if :foreign
    SELECT ('not a template of previews: ' || :'template')::int;
\endif

\if :make
    SELECT format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
    SET password_encryption = 'scram-sha-256';
    SELECT format('ALTER ROLE %I PASSWORD %L CONNECTION LIMIT %s', :'name', :'verifier', :'connections') \gexec
    -- Whoever makes a role may do this to it, but has to be a member to give it a database (Postgres 16).
    SELECT format('GRANT %I TO CURRENT_USER', :'name') \gexec
    SELECT format('CREATE DATABASE %I OWNER %I ', :'name', :'name')
        || CASE WHEN :'template' <> '' THEN format('TEMPLATE %I', :'template') ELSE '' END
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
    SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', :'name') \gexec
    \if :copied
        -- What is in the copy is still the template's. Whoever is given a function has to be allowed to make one there.
        \connect :"name"
        BEGIN;
        SELECT format('GRANT %I TO %I', :'template', :'name') \gexec
        SELECT format('REASSIGN OWNED BY %I TO %I', :'template', :'name') \gexec
        SELECT format('REVOKE %I FROM %I', :'template', :'name') \gexec
        COMMIT;
    \endif
    \echo The preview has its database.
\endif

\if :drop
    -- Its tasks may still run: nobody comes in any more, then those who are in go.
    SELECT format('ALTER ROLE %I NOLOGIN', :'name') FROM pg_roles WHERE rolname = :'name' \gexec
    SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', :'name') \gexec
    SELECT format('DROP ROLE IF EXISTS %I', :'name') \gexec
    \echo The preview has no database any more.
\endif
