#!/bin/sh
# Runs once, when PostgreSQL makes its data folder: one role to migrate with, one for the token
# service, one for the workers. What each may do in the schemas, `connector migrate` grants.
set -eu
export SECRETS_FOLDER="${SECRETS_FOLDER:-/run/secrets}"

for role in migrate token worker; do
    if ! [ -s "$SECRETS_FOLDER/postgres_${role}_password" ]; then
        # psql would make the role all the same, with no password
        echo "$SECRETS_FOLDER/postgres_${role}_password is missing or empty" >&2
        exit 1
    fi
done

psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set migrate_password `cat "$SECRETS_FOLDER"/postgres_migrate_password`
\set token_password `cat "$SECRETS_FOLDER"/postgres_token_password`
\set worker_password `cat "$SECRETS_FOLDER"/postgres_worker_password`
BEGIN;
CREATE ROLE connector_migrate LOGIN PASSWORD :'migrate_password';
CREATE ROLE connector_token LOGIN PASSWORD :'token_password';
CREATE ROLE connector_worker LOGIN PASSWORD :'worker_password';
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO connector_migrate, connector_token, connector_worker;
GRANT CREATE ON DATABASE :"DBNAME" TO connector_migrate;
COMMIT;
SQL
