"""Runs what the benchmarks compare, each in processes of its own, and reads off what they measured."""

import itertools
import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WARM_UP = 2  # steps that are run but not counted, as in hf_peft.py
# What splitft run gives its processes (cli/run_session.cc), for our engine in one process too.
MALLOC = "glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:glibc.malloc.hugetlb=1"


@dataclass(frozen=True)
class Client:
    """One client of a job: how many sequences it contributes to a step, and its cut."""

    batch: int
    cut: int


@dataclass(frozen=True)
class Shape:
    """What a step computes with."""

    dtype: str
    length: int


@dataclass(frozen=True)
class Run:
    """What one run of splitft showed; medians over its steps."""

    tokens_per_second: float
    server_seconds: float
    worker_peak_bytes: int
    aggregator_peak_bytes: int
    losses: list[float]


@dataclass(frozen=True)
class Programs:
    """Where the programs lie, and a folder for what they read and write."""

    build: Path
    python: Path
    work: Path
    steps: int
    threads: int

    def make_data(self, name: str, *flags: str) -> Path:
        """A model and texts of random tokens (make_gpt2.py)."""
        folder = self.work / name
        if not folder.exists():
            self._call([self.python, HERE / "make_gpt2.py", folder, *flags])
        return folder

    def hf(self, data: Path, shape: Shape) -> dict:
        """Transformers and PEFT in one process (hf_peft.py)."""
        flags = ["--dtype", shape.dtype, "--length", shape.length, "--steps", self.steps, "--threads", self.threads]
        return self._json([self.python, HERE / "hf_peft.py", data / "model", data / "client0.txt", *flags])

    def unsplit(self, data: Path, shape: Shape) -> dict:
        """Our own engine in one process (model_bench)."""
        flags = ["--dtype", shape.dtype, "--length", shape.length, "--steps", self.steps, "--threads", self.threads]
        return self._json(["env", f"GLIBC_TUNABLES={MALLOC}", self.build / "bin/model_bench", "--model", data / "model", *flags])

    def wire(self) -> dict:
        """A client's stream to the aggregator over loopback TCP (wire_bench)."""
        return self._json([self.build / "bin/wire_bench", "--mib", 16])

    def metrics(self) -> dict:
        """What a step's metrics and a scrape cost an aggregator (metrics_bench)."""
        return self._json([self.build / "bin/metrics_bench"])

    def scheduler(self) -> dict:
        """A decision for, and a simulation of, ten thousand clients (scheduler_bench)."""
        return self._json([self.build / "bin/scheduler_bench"])

    def splitft(self, data: Path, shape: Shape, clients: list[Client]) -> Run:
        """`splitft run`: aggregator and workers as processes of their own, labels on the clients."""
        out = self.work / "out"
        manifest = self.work / "job.yaml"
        manifest.write_text(json.dumps(job(data, shape, clients, self.steps + WARM_UP)))  # JSON is YAML
        command = [self.build / "bin/splitft", "run", manifest, "--out", out, "--json", "--threads", self.threads]
        aggregator_peak = self._watch(command)
        steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        # From the end of one step to the end of the next: nothing a job does between steps is left out.
        seconds = [after["time"] - before["time"] for before, after in itertools.pairwise(steps)][WARM_UP - 1 :]
        server = [step["server"]["forward_seconds"] + step["server"]["backward_seconds"] for step in steps[WARM_UP:]]
        tokens = sum(client.batch for client in clients) * shape.length
        return Run(
            tokens_per_second=tokens / statistics.median(seconds),
            server_seconds=statistics.median(server),
            worker_peak_bytes=max(client["peak_memory_bytes"] for client in steps[-1]["clients"]),
            aggregator_peak_bytes=aggregator_peak,
            losses=[step["loss"] for step in steps],
        )

    def _json(self, command: list) -> dict:
        return json.loads(self._call(command).splitlines()[-1])

    def _call(self, command: list) -> str:
        words = [str(word) for word in command]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def _watch(self, command: list) -> int:
        """Runs splitft to its end; returns the peak resident memory of its aggregator."""
        words = [str(word) for word in command]
        peak = 0
        with open(self.work / "log.txt", "w+") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)
            try:
                while process.poll() is None:
                    peak = max(peak, *(peak_bytes(pid) for pid in children(process.pid, "splitft-aggregator")), 0)
                    time.sleep(0.1)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            if process.returncode != 0:
                log.seek(0)
                raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{log.read()[-2000:]}")
        return peak


def job(data: Path, shape: Shape, clients: list[Client], steps: int) -> dict:
    """The benchmarks' job as a manifest."""
    return {
        "apiVersion": "splitft.io/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "bench"},
        "spec": {
            "model": {"source": {"path": str(data / "model")}, "dtype": shape.dtype},
            "lora": {"rank": 8, "alpha": 16, "targetModules": ["c_attn"]},
            "training": {
                "steps": steps,
                "sequenceLength": shape.length,
                "learningRate": 1e-4,
                "schedule": "constant",
                "maxGradNorm": 1.0,
            },
            "clients": [
                {
                    "name": f"client{i}",
                    "data": {"path": str(data / f"client{i}.txt")},
                    "batchSize": client.batch,
                    "cutLayer": client.cut,
                }
                for i, client in enumerate(clients)
            ],
            "output": {"path": "out"},
        },
    }


def children(parent: int, name: str) -> list[int]:
    """Processes that `parent` started and whose program is called `name`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "exe").endswith("/" + name):
                stat = (entry / "stat").read_text()
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return found


def peak_bytes(pid: int) -> int:
    """The most resident memory the process has had; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def cpu_seconds(pid: int) -> float:
    """What the process has used of processors, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
