"""A fleet of unequal clients on one machine: every client of `splitft run` in a network namespace with a rate limit each
way (tc tbf) and a control group with a CPU quota, both of which may be changed while it runs.

Nothing in splitft knows of it: `programs` is a folder with the splitft command and, in place of the worker and the
aggregator, scripts that go into group and namespace before they become the real ones. Needs root; leaves nothing.
"""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PERIOD_US = 100_000
CONTROL = Path("/sys/fs/cgroup")
UNIFIED = (CONTROL / "cgroup.controllers").exists()


@dataclass(frozen=True)
class Limits:
    """cores: of one CPU; the rest in Mbit/s."""

    cores: float
    up_mbit: float
    down_mbit: float


def why_not() -> str:
    """Why no such fleet can be had here; empty where it can."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        with tempfile.TemporaryDirectory() as folder, ThrottledFleet(
            Path("/bin"), Path(folder), {"probe": Limits(1, 100, 100)}, 1
        ):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no control groups, namespaces or tbf here: {error}"


class ThrottledFleet:
    def __init__(self, build_bin: Path, folder: Path, clients: dict[str, Limits], aggregator_cores: float):
        self.bin = build_bin
        self.programs = folder / "programs"
        self.clients = clients
        self.aggregator_cores = aggregator_cores
        # Below 15 letters with what comes after it: that long may the name of an interface be.
        self.name = f"sft{os.getpid() % 100_000}"
        self.index = {client: i for i, client in enumerate(clients)}

    def __enter__(self):
        try:
            self._make_group("aggregator")
            self.set_cores("aggregator", self.aggregator_cores)
            for client, limits in self.clients.items():
                self._make_group(client)
                self.set_cores(client, limits.cores)
                self._connect(client, limits)
            self._write_programs()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for client in self.clients:
            namespace, link = self._namespace(client), self._link(client)
            subprocess.run(["ip", "link", "del", link], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)
        for member in ["aggregator", *self.clients]:
            if self._group(member).exists():
                os.rmdir(self._group(member))

    def set_cores(self, member: str, cores: float) -> None:
        """How much of a CPU a client, or the aggregator, may use from now on."""
        quota = int(cores * PERIOD_US)
        if UNIFIED:
            (self._group(member) / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (self._group(member) / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self._group(member) / "cpu.cfs_quota_us").write_text(str(quota))

    def set_links(self, client: str, up_mbit: float, down_mbit: float) -> None:
        """What the client's wire carries from now on."""
        self._limit(["tc"], self._link(client), down_mbit, "change")
        self._limit(["ip", "netns", "exec", self._namespace(client), "tc"], "wire", up_mbit, "change")

    def _make_group(self, member: str) -> None:
        os.mkdir(self._group(member))

    def _group(self, member: str) -> Path:
        return CONTROL / ("" if UNIFIED else "cpu") / f"{self.name}-{member}"

    def _namespace(self, client: str) -> str:
        return f"{self.name}-{client}"

    def _link(self, client: str) -> str:
        return f"{self.name}v{self.index[client]}"

    def _address(self, client: str) -> str:
        return f"10.213.{self.index[client]}"

    def _connect(self, client: str, limits: Limits) -> None:
        namespace, link, net = self._namespace(client), self._link(client), self._address(client)
        inside = ["ip", "netns", "exec", namespace]
        for command in [
            ["ip", "netns", "add", namespace],
            ["ip", "link", "add", link, "type", "veth", "peer", "name", "wire", "netns", namespace],
            ["ip", "address", "add", f"{net}.1/24", "dev", link],
            ["ip", "link", "set", link, "up"],
            [*inside, "ip", "address", "add", f"{net}.2/24", "dev", "wire"],
            [*inside, "ip", "link", "set", "wire", "up"],
            [*inside, "ip", "link", "set", "lo", "up"],
        ]:
            subprocess.run(command, check=True, stderr=subprocess.PIPE)
        self._limit(["tc"], link, limits.down_mbit, "add")
        self._limit([*inside, "tc"], "wire", limits.up_mbit, "add")

    @staticmethod
    def _limit(tc: list[str], device: str, mbit: float, verb: str) -> None:
        kbit = round(1000 * mbit)
        # A bucket of some two milliseconds, and room in the queue for half a second.
        burst = max(4000, kbit * 1000 // 8 // 500)
        subprocess.run([*tc, "qdisc", verb, "dev", device, "root", "tbf", "rate", f"{kbit}kbit", "burst", str(burst),
                        "latency", "500ms"], check=True, stderr=subprocess.PIPE)

    def _write_programs(self) -> None:
        self.programs.mkdir(parents=True, exist_ok=True)
        target = self.programs / "splitft"
        target.unlink(missing_ok=True)
        # A copy: the command looks for the others where it lies itself, wherever a link leads.
        os.link(self.bin / "splitft", target) if self._same_device(target) else self._copy(target)
        tasks = "cgroup.procs" if UNIFIED else "tasks"
        groups = CONTROL / ("" if UNIFIED else "cpu")
        indices = " ".join(f"[{client}]={i}" for client, i in self.index.items())
        self._write("splitft-aggregator", f"""
echo $$ >{groups}/{self.name}-aggregator/{tasks}
arguments=()
for argument in "$@"; do
  arguments+=("${{argument/#127.0.0.1:/0.0.0.0:}}")  # where the clients' namespaces reach it
done
exec {self.bin}/splitft-aggregator "${{arguments[@]}}"
""")
        self._write("splitft-worker", f"""
declare -A index=({indices})
arguments=()
while (($#)); do
  case $1 in
    --client) client=$2; arguments+=("$1" "$2"); shift 2 ;;
    --aggregator) port=${{2##*:}}; shift 2 ;;
    *) arguments+=("$1"); shift ;;
  esac
done
echo $$ >{groups}/{self.name}-$client/{tasks}
exec ip netns exec {self.name}-$client {self.bin}/splitft-worker "${{arguments[@]}}" \\
  --aggregator 10.213.${{index[$client]}}.1:$port
""")

    def _same_device(self, target: Path) -> bool:
        return (self.bin / "splitft").exists() and (self.bin / "splitft").stat().st_dev == target.parent.stat().st_dev

    def _copy(self, target: Path) -> None:
        if (self.bin / "splitft").exists():
            target.write_bytes((self.bin / "splitft").read_bytes())
            target.chmod(0o755)

    def _write(self, name: str, body: str) -> None:
        path = self.programs / name
        path.write_text("#!/usr/bin/env bash\nset -euo pipefail" + body)
        path.chmod(0o755)
