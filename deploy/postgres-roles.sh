#!/bin/sh
# Makes the user as whom the serving roles run: `chatboard_app` reads and writes rows and can change
# nothing else. The owner of the schema, as whom `chatboard migrate` runs, keeps the rest.
#
# The Postgres image runs this once, on an empty data folder. Elsewhere run it as the owner of the
# database, who may create roles, or as a superuser, with psql's own variables; again is no harm:
#
#   APP_PASSWORD=… PGHOST=… PGUSER=chatboard PGDATABASE=chatboard sh deploy/postgres-roles.sh
#
# OWNER names the owner where someone else runs this.
set -eu
: "${APP_PASSWORD:?is the password that chatboard_app gets}"
export PGUSER="${POSTGRES_USER:-${PGUSER:-$(id -un)}}"
export PGDATABASE="${POSTGRES_DB:-${PGDATABASE:-$PGUSER}}"
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="$APP_PASSWORD" \
    --set=owner="${OWNER:-$PGUSER}" <<'SQL'
select exists (select from pg_roles where rolname = 'chatboard_app') as is_there,
       (select rolsuper or rolcreaterole from pg_roles where rolname = current_user) as may_create
\gset
\if :may_create
    \if :is_there
        alter role chatboard_app login password :'password';
    \else
        create role chatboard_app login password :'password';
    \endif
\elif :is_there
    \warn 'chatboard_app is there already; its password stays, since this user may not change it'
\else
    do $$ begin
        raise exception 'user "%" may not create the role chatboard_app', current_user
            using hint = 'Run this as a superuser, or as the owner after: alter role ... createrole';
    end $$;
\endif
revoke create on schema public from public;
grant usage on schema public to chatboard_app;
grant select, insert, update, delete on all tables in schema public to chatboard_app;
alter default privileges for role :"owner" in schema public
    grant select, insert, update, delete on tables to chatboard_app;
SQL
