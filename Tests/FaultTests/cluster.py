"""Throw-away PostgreSQL clusters. Each is reached by a socket in its own folder: no port is taken, and a host's network does not
matter to it."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from waiting import wait_for

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))[-1]
#: The server refuses to run as root. It dies with its test.
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else ["setpriv"]


class Cluster:
    def __init__(self, folder, data=None, inside=(), environment=()):
        """`inside`: a command that enters a name space first; `environment`: NAME=VALUE, for the server alone."""
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.data = Path(data or self.folder / "data")
        self.inside, self.environment = list(inside), list(environment)
        self.process = None

    def command(self, *words):
        subprocess.run([*self.inside, *AS_POSTGRES, *words], check=True, capture_output=True, timeout=120, cwd="/")

    def make(self):
        self.command(BINARIES / "initdb", "-D", self.data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                     "--no-instructions", "--no-sync", "--wal-segsize=1")
        with open(self.data / "postgresql.auto.conf", "a") if not self.inside else open(os.devnull, "a") as settings:
            settings.write("max_connections = 200\nwal_keep_size = '256MB'\nmax_wal_size = '64MB'\n")
        return self

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, *AS_POSTGRES, "--pdeathsig", "QUIT", "env", *self.environment, BINARIES / "postgres", "-D", self.data,
                 "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"],
                stdout=log, stderr=log, cwd="/")
        wait_for(self.answers, 60, "PostgreSQL to answer")
        return self

    def answers(self):
        return self.process.poll() is None and self.psql("SELECT 1").returncode == 0

    def stop(self, how=signal.SIGQUIT):
        """Immediate, unless told otherwise: a crash, as far as a database is concerned."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def url(self, database="postgres"):
        return f"host={self.folder} user=test dbname={database}"

    def psql(self, statement, database="postgres", limit=30):
        return subprocess.run(
            ["psql", "-X", "-A", "-t", "-q", "-F", "\t", "-v", "ON_ERROR_STOP=1", self.url(database)],
            input=statement, capture_output=True, text=True, timeout=limit)

    def session(self, statement, database="postgres"):
        """A session that has run `statement` and then stays as it is."""
        held = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "psql", "-X", "-A", "-t", "-q", self.url(database)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        held.stdin.write(statement + ";\nSELECT 'held';\n")
        held.stdin.flush()
        while "held" not in held.stdout.readline():
            assert held.poll() is None
        return held

    def base_backup(self, folder, *words):
        """A copy by pg_basebackup; not started."""
        copy = Cluster(folder)
        copy.command(BINARIES / "pg_basebackup", "-d", self.url(), "-D", copy.data, "--checkpoint=fast", "--no-sync", *words)
        return copy

    def version(self):
        return re.search(r"[0-9.]+", self.psql("SHOW server_version").stdout)[0]
