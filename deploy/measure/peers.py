"""The peers of the bus: RabbitMQ and NATS JetStream, measured on this machine with persistent messages.

Each function starts a server of its own, as an ordinary user, on free loopback ports, with the server's defaults and its
data in a temporary folder (TMPDIR says where: it has to be on the disk that the bus is measured on); builds its client
from deploy/measure/peers, runs it with one publisher and one consumer, and stops the server. Nothing is left running.

What the two promise is not the same:

RabbitMQ 3.10 confirms a persistent message in a durable classic queue after an fsync. A body below 4096 bytes
(`queue_index_embed_msgs_below`) is written into the journal of the queue's index; `rabbit_queue_index:sync/1` fsyncs the
journal and only then calls `on_sync_msg`, which confirms (deps/rabbit/src/rabbit_queue_index.erl; the fsync itself is
`file_handle_cache:sync/1`). It is called when the queue's process has nothing else to do, or when its timer of
`SYNC_INTERVAL`, 200 ms, ends (rabbit_amqqueue_process.erl, `next_state/1`), so that one fsync confirms all messages that
came before it. Only a message that is acknowledged already may be confirmed without. A larger body goes to the message
store, fsynced when it is idle or every 25 ms (rabbit_msg_store.erl, `internal_sync/1`). All in the source of 3.10.8.

JetStream 2.9 acknowledges a message when write(2) has handed it to the kernel: `AsyncFlush` is false, `SyncInterval` is a
fixed 2 minutes without a setting (server/stream.go, `addStreamWithAssignment`; server/filestore.go, `writeMsgRecord` and
`syncBlocks`; source of 2.9.10, which does not know the later `sync_interval`). What is acknowledged survives the end of the
process, not a loss of power.

Usage: python3 deploy/measure/peers.py [--count 200000] [--body-bytes 400] [--only rabbitmq|jetstream]
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCES = Path(__file__).parent / "peers"
START_SECONDS, CLIENT_SECONDS, STOP_SECONDS = 60, 130, 30  # the client ends itself after 120
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class PeerError(RuntimeError):
    """A peer is not installed, did not start or lost a message."""


def versions(*packages):
    """The installed version of each package."""
    found = []
    for package in packages:
        query = subprocess.run(["dpkg-query", "-W", "-f", "${Status}|${Version}", package], capture_output=True, text=True)
        status, _, version = query.stdout.partition("|")
        if not status.endswith(" installed"):
            raise PeerError(f"the package {package} is missing: run deploy/install peers")
        found.append(version)
    return found


def free_ports(count):
    """Loopback ports that are free now; each is held until all are found, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def workplace(user):
    """A temporary folder, and in it one that the server's user owns."""
    with tempfile.TemporaryDirectory(prefix="throughline-peer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, user, user)
        yield folder, data


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def group_lives(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


def stop(process):
    """Ends the process and all of its group, first gently."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            process.poll()  # a leader that is not waited for would keep its group
            if not group_lives(process.pid):
                return
            time.sleep(0.05)
    raise PeerError(f"the process group {process.pid} does not end")


@contextlib.contextmanager
def running(command, port, data, user, environment):
    """The server, from when it answers until it has ended; the end of this process ends it too."""
    rights = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if os.getuid() == 0 else []
    log = data.parent / f"{Path(command[0]).name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", *rights, *command], cwd=data, env={"PATH": PATH, "HOME": str(data)} | environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        stop(process)


def build(name, library, folder):
    client = folder / f"{name}-peer"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-o", client, SOURCES / f"{name}.c",
                    f"-l{library}"], check=True)
    return client


def measure(client, port, count, body_bytes):
    run = subprocess.run([client, "both", "127.0.0.1", str(port), str(count), str(body_bytes)],
                         capture_output=True, text=True, timeout=CLIENT_SECONDS)
    if run.returncode == -signal.SIGALRM:
        raise PeerError(f"{client.name} did not end in time")
    if run.returncode != 0:
        raise PeerError(run.stderr.strip() or f"{client.name} ended with {run.returncode}")
    return json.loads(run.stdout)


def rabbitmq(count, body_bytes):
    version, *_ = versions("rabbitmq-server", "librabbitmq-dev", "gcc")
    port, distribution, mapper = free_ports(3)
    with workplace("rabbitmq") as (folder, data):
        client = build("rabbitmq", "rabbitmq", folder)
        nothing = folder / "nothing"
        nothing.touch()
        # The node would start an epmd daemon that outlives it, unless it finds one: it gets one that ends here.
        mapped = {"ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        node = mapped | {
            "RABBITMQ_NODENAME": "peer@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(data), "RABBITMQ_LOG_BASE": str(data), "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(data / "pid"),
            # Not the settings of a RabbitMQ that belongs to the machine.
            "RABBITMQ_CONF_ENV_FILE": str(nothing), "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "none")}
        # Debian's /usr/sbin/rabbitmq-server is only for root and the user rabbitmq; this is what it runs.
        with running(["epmd"], mapper, data, "rabbitmq", mapped), \
                running(["/usr/lib/rabbitmq/bin/rabbitmq-server"], port, data, "rabbitmq", node):
            figures = measure(client, port, count, body_bytes)
    return figures | {"version": version, "flushes": "fsync before each confirm, one for all messages since the last (when the "
                      "queue is idle, or after 200 ms; durable classic queue, delivery mode 2, defaults)"}


def jetstream(count, body_bytes):
    version, *_ = versions("nats-server", "libnats-dev", "gcc")
    port, = free_ports(1)
    with workplace("nats") as (folder, data):
        client = build("jetstream", "nats", folder)
        with running(["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(data)], port, data, "nats", {}):
            figures = measure(client, port, count, body_bytes)
    return figures | {"version": version, "flushes": "write(2) before each acknowledgement, fsync only every 2 minutes "
                      "(file storage; the interval is fixed in 2.9): a loss of power loses acknowledged messages"}


def main():
    parser = argparse.ArgumentParser(description="Measures RabbitMQ and NATS JetStream, one JSON line each.")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--body-bytes", type=int, default=400)
    parser.add_argument("--only", choices=["rabbitmq", "jetstream"])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped then too
    for peer in (rabbitmq, jetstream):
        if arguments.only in (None, peer.__name__):
            print(json.dumps({"peer": peer.__name__} | peer(arguments.count, arguments.body_bytes)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except PeerError as error:
        sys.exit(f"peers.py: {error}")
