"""An unequal fleet under different policies: real processes under CPU quotas and rate limits (throttled_fleet.py)."""

import json
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from throttled_fleet import Limits, ThrottledFleet, why_not  # noqa: E402, F401

EXAMPLE = HERE.parents[1] / "examples/quickstart"
# Links of 100 : 20 : 5 Mbit/s. With the aggregator's quarter, which is as busy as one that many jobs share, two cores.
FLEET = {
    "hospital": Limits(1, 100, 100),
    "bank": Limits(1 / 2, 20, 20),
    "factory": Limits(1 / 4, 5, 5),
}
AGGREGATOR_CORES = 1 / 4
DATA = {"hospital": "theatre.txt", "bank": "tavern.jsonl", "factory": "theatre.txt"}
ROUND = 5
BATCH = 4


@dataclass(frozen=True)
class Outcome:
    """One job: when each step ended, its losses, what was decided, and each step's cuts, codecs and microbatches."""

    ends: list[float]
    seconds: list[float]
    losses: list[float]
    decisions: list[dict]
    choices: list[dict]
    microbatches: list[int]

    def seconds_to(self, loss: float) -> float | None:
        """When the mean loss of ten steps first was as low as that, from the first step's beginning on."""
        for last in range(9, len(self.losses)):
            if statistics.fmean(self.losses[last - 9 : last + 1]) <= loss:
                return self.ends[last]
        return None

    def final_loss(self) -> float:
        return statistics.fmean(self.losses[-10:])


def job(steps: int, scheduling: dict, codec: str, cuts: dict[str, int] = {}, microbatches: int = 1) -> dict:
    """`cuts`: per client; 2 where there are none. The rest is what a manifest has that says nothing of it."""
    clients = [
        {"name": name, "data": {"path": str(EXAMPLE / "data" / DATA[name])}, "cutLayer": cuts.get(name, 2)}
        for name in FLEET
    ]
    return {
        "apiVersion": "splitft.io/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "unequal"},
        "spec": {
            "model": {"source": {"path": str(EXAMPLE / "base")}, "dtype": "float32"},
            "lora": {"rank": 8, "alpha": 16, "targetModules": ["q_proj", "v_proj"]},
            "split": {"cutLayer": 2, "codec": codec},
            "scheduling": scheduling,
            "training": {
                "steps": steps, "batchSize": BATCH, "microbatches": microbatches, "sequenceLength": 128,
                "learningRate": 2e-3, "seed": 7,
            },
            "clients": clients,
            "output": {"path": "out"},
        },
    }


def run(build: Path, work: Path, manifest: dict) -> Outcome:
    folder = work / "unequal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "job.yaml").write_text(json.dumps(manifest))  # JSON is YAML
    with ThrottledFleet(build / "bin", folder, FLEET, AGGREGATOR_CORES) as fleet:
        subprocess.run(
            [fleet.programs / "splitft", "run", folder / "job.yaml", "--threads", "1", "--json"],
            check=True, stdout=subprocess.DEVNULL)

    def lines(name: str) -> list[dict]:
        path = folder / "out" / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    steps = lines("metrics.jsonl")
    begin = steps[0]["time"] - steps[0]["seconds"]
    return Outcome(
        ends=[step["time"] - begin for step in steps],
        seconds=[step["seconds"] for step in steps],
        losses=[step["loss"] for step in steps],
        decisions=lines("decisions.jsonl"),
        choices=[{c["name"]: (c["cut_layer"], c["codec"]) for c in step["clients"]} for step in steps],
        microbatches=[step["microbatches"] for step in steps],
    )


def median_step(outcome: Outcome, last: int = 10) -> float:
    return statistics.median(outcome.seconds[-last:])


def predicted_against_measured(outcome: Outcome) -> float:
    """By what share the last plan's step time was off, over the steps that were run by it."""
    applied = [d for d in outcome.decisions if d["state"]["state"] == "APPLIED"]
    if not applied:
        return float("nan")
    after = outcome.seconds[int(applied[-1]["state"]["step"]) + 2 :]
    return abs(applied[-1]["plan"]["seconds_then"] / statistics.median(after) - 1)


def neighbours(cuts: dict[str, int], microbatches: int, blocks: int) -> list[tuple[dict[str, int], int]]:
    """Those, and the same with one client's cut a block more or less, or half or twice the microbatches."""
    near = [(cuts, parts) for parts in (microbatches // 2, microbatches, 2 * microbatches) if 1 <= parts <= BATCH]
    for name in cuts:
        for step in (-1, 1):
            if 1 <= cuts[name] + step <= blocks:
                near.append(({**cuts, name: cuts[name] + step}, microbatches))
    return near
