"""Counts its visitors in PostgreSQL and in Redis, and answers with both counts and its own name."""

import http.server
import json
import os
import socket
from pathlib import Path

import psycopg2
import redis


def visit() -> dict[str, object]:
    password = Path("/run/secrets/password").read_text().strip()
    database = psycopg2.connect(host="database", user="shop", password=password, dbname="postgres")
    with database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS visits (host text)")
        cursor.execute("INSERT INTO visits VALUES (%s)", (socket.gethostname(),))
        cursor.execute("SELECT count(*) FROM visits")
        row = cursor.fetchone()
    database.close()
    hits = redis.Redis(host="cache").incr("hits")
    counts = {"visits": row and row[0], "hits": hits}
    return {**counts, "host": socket.gethostname(), "greeting": os.environ["GREETING"], "motto": MOTTO}


MOTTO = "".join(path.read_text() for path in [Path("/etc/motto")] if path.exists())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(visit()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("ready", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
