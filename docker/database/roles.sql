-- Who may do what in the database, made and kept true before each release. Run by the database's owner; no code of the
-- app runs in this container, and the owner's password is in no other. Passwords come as SCRAM verifiers, which open
-- nothing. Running it twice changes nothing.
--
--   OWNER_ROLE     owns the schema; nobody logs in as it
--   RELEASE_ROLE   logs in for the release step, and acts as OWNER_ROLE: what it makes belongs to that
--   USERS_ROLE     may read and write all tables
--   APP_ROLE       logs in for the app: a member of USERS_ROLE, or of OWNER_ROLE where APP_OWNS is true (no release step)
--   METRICS_ROLE   logs in for the exporter of metrics, where there is one: it sees statistics, and no table of the app's
--   RETIRED_ROLES  of generations that were ended, with commas between: they log in no more, and those who are in go

\getenv owner OWNER_ROLE
\getenv release RELEASE_ROLE
\getenv release_verifier RELEASE_VERIFIER
\getenv users USERS_ROLE
\getenv app APP_ROLE
\getenv app_verifier APP_VERIFIER
\getenv app_owns APP_OWNS
\getenv metrics METRICS_ROLE
\getenv metrics_verifier METRICS_VERIFIER
\getenv retired RETIRED_ROLES

SELECT format('CREATE ROLE %I NOLOGIN', role) FROM unnest(ARRAY[:'owner', :'users']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
SELECT format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE', role) FROM unnest(ARRAY[:'release', :'app']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

SET password_encryption = 'scram-sha-256';
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', role, verifier)
FROM (VALUES (:'release', :'release_verifier'), (:'app', :'app_verifier')) AS given(role, verifier) \gexec

-- Whoever makes a role may do this to it, but has to be a member to act as it (Postgres 16).
SELECT format('GRANT %I TO CURRENT_USER', :'owner') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', current_database(), :'owner')
WHERE (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()) <> :'owner' \gexec
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I, %I', current_database(), :'owner', :'users') \gexec

SELECT format('GRANT %I TO %I', :'owner', :'release') \gexec
SELECT format('ALTER ROLE %I SET role TO %L', :'release', :'owner') \gexec
SELECT format('GRANT %I TO %I', CASE WHEN :'app_owns' = 'true' THEN :'owner' ELSE :'users' END, :'app') \gexec
SELECT format('REVOKE %I FROM %I', :'owner', :'app')
WHERE :'app_owns' <> 'true' AND pg_has_role(:'app', :'owner', 'MEMBER') \gexec
SELECT CASE WHEN :'app_owns' = 'true' THEN format('ALTER ROLE %I SET role TO %L', :'app', :'owner')
            ELSE format('ALTER ROLE %I RESET role', :'app') END \gexec

SET ROLE :"owner";
SELECT format('GRANT USAGE ON SCHEMA public TO %I', :'users') \gexec
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', :'users') \gexec
SELECT format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %I', :'users') \gexec
SELECT format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT %s TO %I', what, :'users')
FROM unnest(ARRAY['SELECT, INSERT, UPDATE, DELETE ON TABLES', 'USAGE, SELECT ON SEQUENCES']) AS what \gexec
RESET ROLE;

\if :{?metrics}
    SELECT format('CREATE ROLE %I LOGIN NOCREATEDB NOCREATEROLE', :'metrics')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'metrics') \gexec
    -- Two connections: of the exporter's task and of the one that follows it.
    SELECT format('ALTER ROLE %I LOGIN PASSWORD %L CONNECTION LIMIT 4', :'metrics', :'metrics_verifier') \gexec
    SELECT format('GRANT pg_monitor TO %I', :'metrics') \gexec
    SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'metrics') \gexec
\endif

SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname) FROM pg_roles
WHERE rolname = ANY (string_to_array(:'retired', ',')) AND rolcanlogin \gexec
-- Whoever ends a session has to be a member of its role.
SELECT format('GRANT %I TO CURRENT_USER', rolname) FROM pg_roles
WHERE rolname = ANY (string_to_array(:'retired', ',')) \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY (string_to_array(:'retired', ','));

\echo The database has its roles.
