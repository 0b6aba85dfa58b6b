# Starts PostgreSQL over its volume, and sets it up the first time.
set -eu
bin=/usr/lib/postgresql/15/bin
place=/var/lib/postgresql/shop
if [ ! -s "$place/PG_VERSION" ]; then
    "$bin/initdb" -D "$place" -U shop -A scram-sha-256 --pwfile=/run/secrets/password >/dev/null
    echo "host all all all scram-sha-256" >> "$place/pg_hba.conf"
fi
exec "$bin/postgres" -D "$place" -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
