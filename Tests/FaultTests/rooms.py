"""Name spaces without a name, each held by a process that waits for our end: when it dies, all that was in them is gone."""
import subprocess
from pathlib import Path


class Room:
    def __init__(self, kind):
        """`kind`: net or mount."""
        self.holder = subprocess.Popen(["unshare", f"--{kind}", "setpriv", "--pdeathsig", "KILL", "sh", "-c", "echo in; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.inside = ["nsenter", "-t", str(self.holder.pid), f"--{kind}"]
        if self.holder.stdout.readline() != b"in\n":
            raise OSError(self.holder.stderr.read().decode().strip() or "unshare was refused")

    def run(self, *words):
        subprocess.run([*self.inside, *words], check=True, capture_output=True, timeout=60)

    def close(self):
        self.holder.kill()
        self.holder.wait()


class SmallDisk:
    """An ext4 of its own in a file, seen only in its room."""

    def __init__(self, folder, megabytes):
        self.place = Path(folder)
        self.place.mkdir()
        self.file = Path(f"{folder}.img")
        with open(self.file, "wb") as image:
            image.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.file], check=True, capture_output=True)
        self.room = Room("mount")
        self.room.run("mount", "-o", "loop", self.file, self.place)
        self.room.run("chmod", "777", self.place)

    def fill(self):
        """Takes all the room that is left. dd ends with an error of the full disk, and that is meant."""
        subprocess.run([*self.room.inside, "dd", "if=/dev/zero", f"of={self.place}/filler", "bs=64k"], capture_output=True)

    def clear(self):
        self.room.run("rm", f"{self.place}/filler")

    def close(self):
        self.room.close()
        self.file.unlink()
