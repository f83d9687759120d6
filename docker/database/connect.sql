-- The login of one person who connects by `slipway connect`: made when they come, dropped when they go. Run by the
-- server's owner, whose password the person never has. Theirs comes as a SCRAM verifier, which opens nothing.
--
--   ACTION        open or close
--   NAME          of the role: connect_...
--   VERIFIER      of its password
--   WRITE         true: it may write all tables; else it reads, and each of its transactions is read-only
--   HOURS         after which it logs in no more, and the next to come drops it: a laptop may never say goodbye
--   OWNER_ROLE    owns the schema
--   USERS_ROLE    may read and write all tables
--   READERS_ROLE  may read all tables; made here

\getenv action ACTION
\getenv name NAME
\getenv verifier VERIFIER
\getenv write WRITE
\getenv hours HOURS
\getenv owner OWNER_ROLE
\getenv users USERS_ROLE
\getenv readers READERS_ROLE

SELECT :'action' = 'open' AS open \gset

-- Whoever may run this makes and drops no other role with it.
SELECT :'name' !~ '^connect_[a-z0-9_]+$' AS foreign \gset
\if :foreign
    SELECT ('not a login of slipway connect: ' || :'name')::int;
\endif

-- Those to drop: of people who went without a word, and this one.
CREATE TEMPORARY TABLE gone AS
SELECT rolname FROM pg_roles
WHERE rolname ~ '^connect_[a-z0-9_]+$' AND (rolvaliduntil < now() OR (rolname = :'name' AND :'action' = 'close'));
SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM gone \gexec
-- Whoever ends a session, or drops what it owns, has to be a member of its role (Postgres 16).
SELECT format('GRANT %I TO CURRENT_USER', rolname) FROM gone \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN (SELECT rolname FROM gone) \g /dev/null
-- What one that may write has made is the app's owner's from now on.
SELECT format('REASSIGN OWNED BY %I TO %I', rolname, :'owner') FROM gone \gexec
SELECT format('DROP OWNED BY %I', rolname) FROM gone \gexec
SELECT format('DROP ROLE %I', rolname) FROM gone \gexec

\if :open
    SELECT format('CREATE ROLE %I NOLOGIN', :'readers')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'readers') \gexec
    -- The owner's schemas, and what it makes in them later.
    SET ROLE :"owner";
    SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'readers') \gexec
    SELECT format(what, nspname, :'readers')
    FROM pg_namespace,
        unnest(ARRAY['GRANT USAGE ON SCHEMA %I TO %I', 'GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I']) AS what
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND (nspname = 'public' OR pg_get_userbyid(nspowner) = :'owner') \gexec
    SELECT format('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %I', :'readers') \gexec
    RESET ROLE;

    SET password_encryption = 'scram-sha-256';
    SELECT format(
        'CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE PASSWORD %L CONNECTION LIMIT 3 VALID UNTIL %L',
        :'name', :'verifier', now() + make_interval(hours => :'hours'::int)
    ) \gexec
    SELECT format('GRANT %I TO %I', CASE WHEN :'write' = 'true' THEN :'users' ELSE :'readers' END, :'name') \gexec
    SELECT format('ALTER ROLE %I SET default_transaction_read_only = on', :'name') WHERE :'write' <> 'true' \gexec
    -- A person who is called away holds no lock overnight.
    SELECT format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', :'name', '15min') \gexec
    \echo The login is there.
\else
    \echo The login is gone.
\endif
