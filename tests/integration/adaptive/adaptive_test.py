#!/usr/bin/env python3
"""Real processes under CPU quotas and rate limits: cuts and codecs follow, and the losses stay.

    adaptive_test.py BUILD EXAMPLES/QUICKSTART
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
from throttled_fleet import Limits, ThrottledFleet, why_not  # noqa: E402

BUILD, EXAMPLE = (Path(argument).resolve() for argument in sys.argv[1:3])
ROUND = 5
SWAP = 20
STEPS = 60
SLOW = 0.08  # of a core; the others have FAST
FAST = 0.4
NAMES = ("hospital", "bank", "factory")


def manifest(policy: str, steps: int) -> dict:
    """Three clients with the same text and batch, so that only their limits tell them apart."""
    return {
        "apiVersion": "splitft.io/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "adaptive"},
        "spec": {
            "model": {"source": {"path": str(EXAMPLE / "base")}, "dtype": "float32"},
            "lora": {"rank": 4, "alpha": 8, "targetModules": ["q_proj", "v_proj"]},
            "split": {"cutLayer": 3},
            "scheduling": {"policy": policy, "roundSteps": ROUND, "paybackRounds": 50},
            "training": {"steps": steps, "batchSize": 4, "sequenceLength": 96, "learningRate": 1e-3, "seed": 1},
            "clients": [{"name": name, "data": {"path": str(EXAMPLE / "data/theatre.txt")}} for name in NAMES],
            "output": {"path": "out"},
        },
    }


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Job:
    """`splitft run` on a throttled fleet; `at`: step -> what is done once that many are over."""

    def __init__(self, fleet: ThrottledFleet, folder: Path, policy: str, at: dict = {}, steps: int = STEPS):
        folder.mkdir()
        (folder / "job.yaml").write_text(json.dumps(manifest(policy, steps)))
        self.out = folder / "out"
        process = subprocess.Popen(
            [fleet.programs / "splitft", "run", folder / "job.yaml", "--threads", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pending = dict(at)
        self.text = []

        def follow():
            for line in process.stdout:
                event = json.loads(line)
                self.text.append(event.get("line", ""))
                for step in [s for s in pending if event.get("step", 0) >= s]:
                    pending.pop(step)()

        reader = threading.Thread(target=follow)
        reader.start()
        try:
            process.wait(timeout=400)
        finally:
            process.kill()
            reader.join()
            process.stdout.close()
        with process.stderr as errors:
            assert process.returncode == 0, errors.read()
        self.steps = lines(self.out / "metrics.jsonl")
        self.decisions = lines(self.out / "decisions.jsonl")

    def cuts(self, step: int) -> dict:
        return {client["name"]: client["cut_layer"] for client in self.steps[step - 1]["clients"]}


@unittest.skipIf(why_not(), why_not())
class AdaptiveTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="splitft_adaptive_")))

    def fleet(self, slow: str, links: dict = {}) -> ThrottledFleet:
        clients = {name: Limits(SLOW if name == slow else FAST, *links.get(name, (200, 200))) for name in NAMES}
        return self.enterContext(ThrottledFleet(BUILD / "bin", self.folder, clients, aggregator_cores=FAST))

    def test_cuts_follow_quotas_that_are_swapped_and_the_losses_stay(self):
        fleet = self.fleet(slow="hospital")

        def swap():
            fleet.set_cores("hospital", FAST)
            subprocess.run([EXAMPLE.parent / "throttle.sh", "factory", str(SLOW)], check=True)  # as README has it

        self.addCleanup(lambda: [group.rmdir() for group in Path("/sys/fs/cgroup").glob("**/splitft-throttle-factory")])

        adaptive = Job(fleet, self.folder / "adaptive", "Makespan", {SWAP: swap})
        before, after = adaptive.cuts(SWAP), adaptive.cuts(SWAP + 1 + 4 * ROUND)
        print("cuts before", before, "after", after)
        self.assertLess(before["hospital"], before["factory"])
        self.assertLess(after["factory"], after["hospital"], "three rounds and the one under way after the swap")
        reasons = [client["reason"] for decision in adaptive.decisions for client in decision["plan"]["clients"]]
        self.assertTrue(any("times the median" in reason for reason in reasons), reasons)
        self.assertTrue(any("factory: forward" in line for line in adaptive.text), adaptive.text)

        fleet.set_cores("hospital", FAST)
        fleet.set_cores("factory", FAST)
        static = Job(fleet, self.folder / "static", "Static")
        self.assertEqual(static.decisions, [])
        worst = max(abs(a["loss"] - b["loss"]) for a, b in zip(adaptive.steps, static.steps, strict=True))
        print("largest difference of a loss", worst)
        self.assertLess(worst, 1e-5)

    def test_what_a_wire_carries_is_measured(self):
        limits = {"hospital": (20, 10), "bank": (10, 20), "factory": (4, 8)}
        fleet = self.fleet(slow="", links=limits)
        job = Job(fleet, self.folder / "links", "Static", steps=8)
        for client in job.steps[-1]["clients"]:
            up, down = limits[client["name"]]
            found = [client[f"{way}_bytes_per_second"] * 8e-6 for way in ("up", "down")]
            print(client["name"], "Mbit/s up and down:", (up, down), "measured", [round(mbit, 1) for mbit in found])
            self.assertLess(abs(found[0] - up), 0.4 * up)
            self.assertLess(abs(found[1] - down), 0.4 * down)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
