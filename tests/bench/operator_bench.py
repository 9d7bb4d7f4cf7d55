#!/usr/bin/env python3
"""Our operator against Kubeflow's, both on one API server without nodes: 1,000 jobs of four pods.

    operator_bench.py BUILD [--jobs N] [--only splitft,training-operator] [--phases idle,burst,backlog,steady]

As a program of its own it makes one turn and prints all figures: for profiling. `run` makes the table's rows.
"""

import argparse
import json
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from api_server import ApiServer, Arrivals
from operators import NAMESPACE, Operator, Process, Splitft, TrainingOperator

PODS_PER_JOB = 4
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
STEADY_S = 60
CHILDREN = [PODS] + [f"/api/v1/namespaces/{NAMESPACE}/{plural}" for plural in ("services", "configmaps", "serviceaccounts")]
CHILDREN += [f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"]
CHILDREN += [f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"]


class Bench:
    """Measures one operator on one server, which it leaves as it found it."""

    def __init__(self, server: ApiServer, operator: Operator, jobs: int):
        self.server = server
        self.operator = operator
        self.jobs = jobs
        self.log = server.folder / f"log/{operator.name}.log"

    def idle(self, figures: dict) -> None:
        """Start without jobs; then one job after the other, from the request that makes it to its last pod."""
        count = min(self.jobs, 200)
        with Process(self.operator, self.server, self.log) as process, Arrivals(self.server, PODS) as pods:
            seconds = []
            for i in range(count):
                start = time.perf_counter()
                self._create(f"idle-{i}")
                seconds.append(pods.wait_for((i + 1) * PODS_PER_JOB) - start)
                time.sleep(0.05)
        self._wipe()
        ranked = sorted(seconds)
        figures["start_seconds"] = process.ready_seconds
        figures["job_seconds"] = dict(median=statistics.median(ranked), p99=ranked[math.ceil(0.99 * count) - 1])

    def backlog(self, figures: dict) -> None:
        """All jobs are there when the operator starts."""
        self._create_all()
        self._note_server()
        with Process(self.operator, self.server, self.log) as process:
            figures["backlog"] = self._until_settled(process, self._await_pods())
        self._wipe()

    def burst(self, figures: dict) -> None:
        """Jobs are made as fast as the server takes them, while the operator runs."""
        with Process(self.operator, self.server, self.log) as process:
            before = process.cpu_seconds()
            self._note_server()
            start = time.perf_counter()
            self._create_all()
            figures["burst"] = self._until_settled(process, self._await_pods(), since=start, cpu_before=before)
        self._wipe()

    def steady(self, figures: dict) -> None:
        """All jobs run, and nothing happens."""
        with Process(self.operator, self.server, self.log) as process:
            self._create_all()
            self._await_pods()
            with self.operator.members():
                self._run_pods()
                process.wait_until_settled()
                figures["steady"] = self._watch_idle(process)
        self._wipe()

    def _watch_idle(self, process: Process) -> dict:
        before, cpu = self.server.writes(), process.cpu_seconds()
        time.sleep(STEADY_S)
        cpu = process.cpu_seconds() - cpu
        written = difference(before, self.server.writes())
        return dict(
            core_share=cpu / STEADY_S,
            writes=sum(written.values()),
            written=written,
            peak_bytes=process.peak_bytes(),
        )

    def _until_settled(self, process: Process, pods: dict, since: float | None = None, cpu_before: float = 0) -> dict:
        """Figures of a run whose pods are all there. What the operator does afterwards on their account counts, too."""
        seconds = pods["last"] - (since or pods["first"])
        process.wait_until_settled()
        cpu = process.cpu_seconds() - cpu_before
        total = self.jobs * PODS_PER_JOB
        return dict(
            seconds=seconds,
            pods_per_second=total / seconds,
            cpu_seconds=cpu,
            pods_per_cpu_second=total / cpu,
            peak_bytes=process.peak_bytes(),
            server_cpu_seconds=self.server.cpu_seconds() - self._server_cpu,
            written=difference(self._writes, self.server.writes()),
        )

    def _note_server(self) -> None:
        self._writes, self._server_cpu = self.server.writes(), self.server.cpu_seconds()

    def _await_pods(self) -> dict:
        """When the first pod was seen, and the last."""
        total, first = self.jobs * PODS_PER_JOB, None
        deadline = time.perf_counter() + 600
        while (count := self.server.count(PODS)) < total:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{self.operator.name} has made {count} of {total} pods in 600 s")
            if first is None and count > 0:
                first = time.perf_counter()
            time.sleep(0.05)
        last = time.perf_counter()
        return dict(first=first or last, last=last)

    def _create(self, name: str) -> None:
        self.server.ask("POST", self.operator.jobs, self.operator.job(name))

    def _create_all(self) -> None:
        jobs = [("POST", self.operator.jobs, self.operator.job(f"job-{i}")) for i in range(self.jobs)]
        self.server.ask_all(jobs)

    def _run_pods(self) -> None:
        """As kubelets would: every pod runs, at an address of its own, on which fake_aggregators answer for all."""
        patches = []
        for i, pod in enumerate(self.server.items(PODS)):
            container = pod["spec"]["containers"][0]
            address = f"127.1.{i // 250}.{i % 250 + 1}"
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            running = dict(name=container["name"], image=container["image"], imageID="", restartCount=0, ready=True)
            running |= dict(started=True, state={"running": {"startedAt": now}})
            conditions = [dict(type=kind, status="True", lastTransitionTime=now) for kind in ("PodScheduled", "Ready")]
            status = dict(phase="Running", podIP=address, podIPs=[{"ip": address}], startTime=now)
            status |= dict(conditions=conditions, containerStatuses=[running])
            path = f"{PODS}/{pod['metadata']['name']}/status"
            patches.append(("PATCH", path, {"status": status}, "application/merge-patch+json"))
        self.server.ask_all(patches)

    def _wipe(self) -> None:
        """There is no garbage collector here."""
        for path in [self.operator.jobs, *CHILDREN]:
            self.server.ask("DELETE", f"{path}?gracePeriodSeconds=0")
        while any(self.server.count(path) > 0 for path in [self.operator.jobs, PODS]):
            time.sleep(0.2)


def difference(before: dict, after: dict) -> dict:
    return {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}


PHASES = ("idle", "burst", "backlog", "steady")


def both(build: Path) -> list[Operator]:
    prefix = Path(os.environ.get("SPLITFT_PREFIX", Path.home() / ".cache/splitft"))
    return [Splitft(build), TrainingOperator(prefix / "kube")]


def measure(operators: list[Operator], folder: Path, jobs: int, phases=PHASES) -> dict:
    """One turn: a fresh API server, on which the operators are measured one after the other."""
    figures: dict = {}
    with ApiServer(folder) as server:
        server.kubectl("create", "namespace", NAMESPACE)
        for operator in operators:
            try:
                operator.install(server)
                bench = Bench(server, operator, jobs)
                found = figures[operator.name] = {}
                for phase in phases:
                    print(f"bench: {operator.name}: {phase}", file=sys.stderr, flush=True)
                    getattr(bench, phase)(found)
            finally:
                operator.uninstall()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--only", default="splitft,training-operator")
    parser.add_argument("--phases", default=",".join(PHASES))
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    operators = [operator for operator in both(asked.build) if operator.name in asked.only.split(",")]
    with tempfile.TemporaryDirectory(prefix="splitft-bench-") as work:
        print(json.dumps(measure(operators, Path(work) / "rig", asked.jobs, asked.phases.split(",")), indent=1))


if __name__ == "__main__":
    main()
