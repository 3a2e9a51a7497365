#!/bin/sh
# Run once by the Postgres image on an empty data folder: `chatboard` owns the schema and
# migrates it, `chatboard_app` reads and writes rows and can change nothing else.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$APP_PASSWORD" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
create role chatboard_app login password :'password';
revoke create on schema public from public;
grant usage on schema public to chatboard_app;
alter default privileges for role chatboard in schema public
    grant select, insert, update, delete on tables to chatboard_app;
SQL
