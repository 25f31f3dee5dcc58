"""Several hosts on one machine: each has its own network, processes and folder for Ray's sessions.

A driver finds the node that it is on among its host's processes, so namespaces of the network alone
would not do. They share the machine's other files, which stands for storage that every node mounts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

DASHBOARD = 8265
GCS = 6379
REDIS = 6380
RAY = Path(sys.executable).with_name("ray")
DEVICE = "eth0"
_HEALTH = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
}


def _possible() -> bool:
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nft")):
        return False
    name = f"try{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True)
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return made.returncode == 0


POSSIBLE = _possible()
WHY_NOT = "network namespaces need root, iproute2 and nftables"


@dataclass
class Hosts:
    """A head, workers and a client, each a host of its own; addresses by name."""

    names: tuple[str, ...]
    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    processes: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    tag: str = field(default_factory=lambda: secrets.token_hex(2))
    network: int = field(default_factory=lambda: secrets.randbelow(200) + 20)

    def address(self, name: str) -> str:
        return f"10.213.{self.network}.{self.names.index(name) + 1}"

    @property
    def dashboard(self) -> str:
        return f"http://{self.address('head')}:{DASHBOARD}"

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "HF_HUB_OFFLINE": "1",
            "GLOO_SOCKET_IFNAME": DEVICE,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": f"{RAY.parent}{os.pathsep}{os.environ['PATH']}",
        }
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("RAY_") and name != "PYTEST_CURRENT_TEST"
        }
        return inherited | own | _HEALTH | more

    def lay(self) -> None:
        """Make the bridge and the namespaces; the client reaches the dashboard's port alone."""
        bridge = f"pr{self.tag}"
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")
        for name in self.names:
            space, end = self.space(name), f"v{self.tag}{self.names.index(name)}"
            _ip("netns", "add", space)
            _ip("link", "add", end, "type", "veth", "peer", "name", DEVICE, "netns", space)
            _ip("link", "set", end, "master", bridge, "up")
            _ip("-n", space, "address", "add", f"{self.address(name)}/24", "dev", DEVICE)
            _ip("-n", space, "link", "set", DEVICE, "up")
            _ip("-n", space, "link", "set", "lo", "up")
            # A driver learns its host's address by the route out, which leads nowhere here.
            _ip("-n", space, "route", "add", "default", "dev", DEVICE)
        for name in self.names if "client" in self.names else ():
            if name != "client":
                self._shut_out_the_client(name)

    def _shut_out_the_client(self, name: str) -> None:
        client = self.address("client")
        rules = f"""table inet pad {{
            chain input {{
                type filter hook input priority 0; policy accept;
                ip saddr {client} tcp dport != {DASHBOARD} drop
                ip saddr {client} meta l4proto != tcp drop
            }}
        }}
        """
        self.run(name, ["nft", "-f", "-"], input=rules)

    def clear(self) -> None:
        for name in self.names:
            self.kill(name)
            subprocess.run(["ip", "netns", "del", self.space(name)], check=False)
        subprocess.run(["ip", "link", "del", f"pr{self.tag}"], check=False)

    def space(self, name: str) -> str:
        return f"pad{self.tag}{name}"

    def _boot(self, name: str) -> None:
        """Start a host's first process; all others on it end with it."""
        sessions = self.folder / f"ray-{name}"
        sessions.mkdir(exist_ok=True)
        inside = 'mkdir -p /tmp/ray && mount --bind "$0" /tmp/ray && exec sleep infinity'
        unshare = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
        outer = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.space(name)),
                *(*unshare, "sh", "-c", inside, str(sessions)),
            ],
            stderr=subprocess.DEVNULL,
        )
        self.processes[name] = [outer]
        self.wait(lambda: "sleep" in _names(outer.pid), f"{name} to boot")
        self.first[name] = psutil.Process(outer.pid).children()[0].pid

    def command(self, name: str, words: Sequence[str]) -> list[str]:
        """Return a command as it runs on a host, which is started if it was killed.

        On the client no Ray node runs: it needs no processes of its own, and gets ^C itself.
        """
        if name == "client":
            return ["ip", "netns", "exec", self.space(name), *words]
        if name not in self.first:
            self._boot(name)
        enter = f"nsenter --target {self.first[name]} --net --pid --mount"
        return ["sh", "-c", f'exec {enter} --wdns="$(pwd)" -- "$@"', name, *words]

    def run(
        self, name: str, words: Sequence[str], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end; `check=False` for one that may fail."""
        environment = self.environment(**options.pop("more", {}))
        wanted = {"check": True, "text": True, "capture_output": True} | options
        return subprocess.run(self.command(name, words), env=environment, **wanted)

    def start(self, name: str, words: Sequence[str], **more: str) -> subprocess.Popen[bytes]:
        """Start a command on a host, with its output in the hosts' folder."""
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            self.command(name, words),
            env=self.environment(**more),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.processes.setdefault(name, []).append(process)
        return process

    def start_head(self, *flags: str, **more: str) -> None:
        """Start Ray's head without work on it, and wait for its dashboard."""
        words = [
            *(str(RAY), "start", "--head", "--block", f"--port={GCS}", "--num-cpus=0"),
            *("--dashboard-host=0.0.0.0", f"--dashboard-port={DASHBOARD}"),
            f"--node-ip-address={self.address('head')}",
            "--object-store-memory=100000000",
            *flags,
        ]
        self._join("head", words, more)

    def start_worker(self, name: str, cpus: int = 6, **more: str) -> None:
        """Start a worker node, and wait until the cluster counts it."""
        words = [
            *(str(RAY), "start", "--block", f"--address={self.address('head')}:{GCS}"),
            *(f"--node-ip-address={self.address(name)}", f"--num-cpus={cpus}"),
            "--object-store-memory=100000000",
        ]
        self._join(name, words, more)

    def _join(self, name: str, words: Sequence[str], more: Mapping[str, str]) -> None:
        started = [self.start(name, words, **more)]

        def joined() -> bool:
            # Ray gives up starting a node after 30 s, which a busy machine may need.
            if started[-1].poll() is not None and len(started) < 6:
                started.append(self.start(name, words, **more))
            return self.address(name) in self.nodes()

        self.wait(joined, f"{name} to join")

    def nodes(self) -> list[str]:
        """Return the addresses of the living nodes, as the dashboard tells them."""
        script = (
            "import sys, requests\n"
            "said = requests.get(sys.argv[1] + '/api/v0/nodes', timeout=10, params={'limit': 99},"
            " headers={'Authorization': 'Bearer ' + sys.argv[2]}).json()\n"
            "nodes = said['data']['result']['result']\n"
            "print(*[n['node_ip'] for n in nodes if n['state'] == 'ALIVE'])"
        )
        words = [sys.executable, "-c", script, self.dashboard, self.token]
        return self.run("client", words, check=False).stdout.split()

    def wait(self, done: Any, what: str, patience_s: float = 300) -> None:
        deadline = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {patience_s:.0f} s for {what}; logs in {self.folder}")
            time.sleep(0.5)

    def inside(self, name: str) -> list[psutil.Process]:
        """Return the processes that run on a host."""
        said = subprocess.run(
            ["ip", "netns", "pids", self.space(name)], capture_output=True, text=True
        )
        found = []
        for pid in said.stdout.split():
            try:
                found.append(psutil.Process(int(pid)))
            except psutil.NoSuchProcess:
                continue
        return found

    def kill(self, name: str) -> None:
        """End a host as a power cut does: every process on it, at once."""
        first = self.first.pop(name, None)
        if first is not None:
            os.kill(first, signal.SIGKILL)
        for process in self.processes.pop(name, []):
            process.wait(timeout=30)


def _names(pid: int) -> list[str]:
    return [process.name() for process in psutil.Process(pid).children()]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def hosts(*names: str) -> Iterator[Hosts]:
    """Lay the network for hosts of these names; on leaving, end all that runs on them."""
    folder = Path(tempfile.mkdtemp(prefix="pad-hosts-"))
    made = Hosts(names, folder)
    try:
        made.lay()
        yield made
    finally:
        made.clear()
    # Not after a failure: the hosts' output says why.
    shutil.rmtree(folder, ignore_errors=True)


def row_ids(out: Path) -> list[str]:
    """Return the row ids of a synthesis directory, kept and rejected."""
    return [
        row_id
        for part in ("verified", "rejected")
        for row_id in pq.read_table(out / part, columns=["row_id"])["row_id"].to_pylist()
    ]
