#!/usr/bin/python3
"""A real Prometheus scrapes a real job and a real operator: every panel of the dashboards and every recording rule has an
answer, the alerts fire when they should, and the operator's scheduler goes by what it says, unless that cannot be true.

    prometheus_test.py BUILD     needs the programs of `scripts/setup.sh kube cluster`
"""

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(sys.argv[1]).resolve()
PROGRAMS = Path(os.environ.get("SPLITFT_PREFIX") or Path.home() / ".cache/splitft") / "kube"
RULES = ROOT / "charts/splitft/rules/splitft.yaml"
NAME = "observed"
STEPS = 100_000
CLIENTS = ("theatre", "tavern", "listings")
AGGREGATOR = "127.0.0.2"  # where the job's aggregator listens, as its pod would
# These begin with the first failure, or with the first client that is lost under a plan.
MAY_BE_EMPTY = {"splitft_operator_watch_errors_total", "splitft_operator_watch_relists_total", "splitft_client_cut_limit"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(seconds: float, condition, what: str):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)
    return found


def get(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run([PROGRAMS / "promtool", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_are_rules(self):
        self.promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)

    def test_fire_when_they_should_and_else_not(self):
        self.promtool("test", "rules", Path(__file__).with_name("rules_test.yaml"))

    def test_are_each_tested(self):
        tests = yaml.safe_load(Path(__file__).with_name("rules_test.yaml").read_text())["tests"]
        tested = {case["alertname"] for test in tests for case in test.get("alert_rule_test", [])}
        alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
                  if "alert" in rule}
        self.assertEqual(tested, alerts)


class Liar(http.server.ThreadingHTTPServer):
    """Stands between the operator and Prometheus, and answers as it is told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            status, body = self.server.lie(get(f"{self.server.behind}{self.path}") or "")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    def __init__(self, behind: str):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.behind, self.asked, self.lie = behind, 0, self.honestly
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @staticmethod
    def honestly(text: str) -> tuple[int, str]:
        return 200, text

    @staticmethod
    def with_values(change):
        """Every sample is [time, value]."""
        def lie(text: str) -> tuple[int, str]:
            answer = json.loads(text)
            for series in answer["data"]["result"]:
                series["value"] = change(*series["value"])
            return 200, json.dumps(answer)
        return lie


class Scraped(unittest.TestCase):
    """One job, one operator with a job in its API server, one Prometheus; all for the whole class."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="splitft_prometheus_")))
        cls.ports = {name: free_port() for name in ("job", "operator", "prometheus")}
        cls.liar = Liar(f"http://127.0.0.1:{cls.ports['prometheus']}")
        cls.addClassCleanup(cls.liar.server_close)
        cls.addClassCleanup(cls.liar.shutdown)
        cls.start_operator()
        cls.start_job()
        cls.start_prometheus()
        cls.run_pods()

    @classmethod
    def start(cls, name: str, *command):
        log = cls.enterClassContext(open(cls.folder / f"{name}.log", "w"))
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        return process

    @classmethod
    def start_operator(cls):
        rig = [ROOT / "tests/support/kube/api_level.sh"]
        cls.addClassCleanup(subprocess.run, [*rig, "down", cls.folder / "rig"], check=True)
        subprocess.run([*rig, "up", cls.folder / "rig", "--owner-pid", str(os.getpid())], check=True,
                       stdout=subprocess.DEVNULL)
        kubectl = cls.kubectl = [*rig, "kubectl", cls.folder / "rig"]
        subprocess.run([*kubectl, "apply", "--filename", ROOT / "api/crd/finetunejobs.yaml"], check=True,
                       stdout=subprocess.DEVNULL)
        # A definition that has no status yet is an error to `kubectl wait`.
        wait_until(20, lambda: subprocess.run(
            [*kubectl, "wait", "--for=condition=Established", "crd/finetunejobs.splitft.io"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0, "the definition is established")
        wait_until(20, lambda: subprocess.run(
            [*kubectl, "apply", "--filename", ROOT / "examples/kubernetes/job.yaml"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0, "a job in the API server")
        cls.start("operator", BUILD / "bin/splitft-operator", "--kubeconfig", cls.folder / "rig/admin.kubeconfig",
                  "--leader-elect=false", "--health-address", f"127.0.0.1:{cls.ports['operator']}",
                  f"--prometheus-url=http://127.0.0.1:{cls.liar.server_port}", "--prometheus-interval=1")
        job = yaml.safe_load((ROOT / "examples/kubernetes/job.yaml").read_text())
        job["metadata"]["name"] = NAME
        job["spec"]["training"]["steps"] = STEPS
        # Its rule always finds something to change, however fast this machine is.
        job["spec"]["scheduling"] = {"policy": "SplitFT"}
        (cls.folder / "followed.yaml").write_text(yaml.safe_dump(job))
        subprocess.run([*kubectl, "apply", "--filename", cls.folder / "followed.yaml"], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def ask(cls, *arguments) -> str:
        return subprocess.run([*cls.kubectl, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    @classmethod
    def followed(cls) -> dict:
        return json.loads(cls.ask("get", "ftj", NAME, "-o", "json"))

    @classmethod
    def run_pods(cls):
        """As a kubelet would: the followed job's aggregator runs, and is the one that `splitft run` has started."""
        def name() -> str:
            return cls.ask("get", "pods", "-l", f"splitft.io/job={NAME},splitft.io/role=aggregator", "-o", "name").strip()
        pod = wait_until(30, name, "the aggregator's pod")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status = {"phase": "Running", "podIP": AGGREGATOR, "podIPs": [{"ip": AGGREGATOR}], "startTime": now,
                  "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]}
        cls.ask("patch", pod, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))

    @classmethod
    def start_job(cls):
        """`splitft run` starts what lies beside it: here an aggregator that is asked for its metrics."""
        programs = cls.folder / "programs"
        programs.mkdir()
        (programs / "splitft").write_bytes((BUILD / "bin/splitft").read_bytes())
        (programs / "splitft").chmod(0o755)
        (programs / "splitft-worker").symlink_to(BUILD / "bin/splitft-worker")
        (programs / "splitft-aggregator").write_text(
            "#!/usr/bin/python3\nimport os, sys\n"
            f"words = [*sys.argv[1:], '--health-address', '127.0.0.1:{cls.ports['job']}']\n"
            f"words[words.index('--listen') + 1] = '{AGGREGATOR}:7070'\n"
            f"os.execv('{BUILD}/bin/splitft-aggregator', ['splitft-aggregator', *words])\n")
        (programs / "splitft-aggregator").chmod(0o755)
        manifest = yaml.safe_load((ROOT / "examples/quickstart/job.yaml").read_text())
        manifest["metadata"] = {"name": NAME, "annotations": {"splitft.io/uid": cls.followed()["metadata"]["uid"]}}
        spec = manifest["spec"]
        example = ROOT / "examples/quickstart"
        spec["model"]["source"]["path"] = str(example / "base")
        for client in spec["clients"]:
            client["data"]["path"] = str(example / client["data"]["path"])
        spec["training"] |= {"steps": STEPS, "sequenceLength": 64, "warmupSteps": 0}
        spec["training"]["evaluation"]["intervalSteps"] = 5
        spec["output"]["path"] = str(cls.folder / "out")
        (cls.folder / "job.yaml").write_text(yaml.safe_dump(manifest))
        cls.start("job", programs / "splitft", "run", cls.folder / "job.yaml", "--threads", "1")

    @classmethod
    def start_prometheus(cls):
        targets = [{"targets": [f"127.0.0.1:{cls.ports[name]}"]} for name in ("job", "operator")]
        (cls.folder / "prometheus.yml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "splitft", "honor_labels": True, "static_configs": targets}],
        }))
        cls.address = f"http://127.0.0.1:{cls.ports['prometheus']}"
        cls.start("prometheus", PROGRAMS / "prometheus", f"--config.file={cls.folder}/prometheus.yml",
                  f"--storage.tsdb.path={cls.folder}/data", f"--web.listen-address=127.0.0.1:{cls.ports['prometheus']}")
        wait_until(60, lambda: get(f"{cls.address}/-/ready"), "Prometheus is ready")
        wait_until(120, lambda: [r for r in cls.query(f'splitft_job_steps_total{{job="{NAME}"}}') if float(r["value"][1]) > 10],
                   "ten steps are scraped")
        for _ in range(3):  # an operator with nothing to do has no quantiles: it makes this again
            wait_until(20, lambda: subprocess.run([*cls.kubectl, "delete", "service", "quickstart-aggregator"],
                                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0,
                       "a child to delete")
            time.sleep(1.1)
        # Rates need some scrapes, and an hour's increase two.
        wait_until(60, lambda: cls.query("namespace_job_client:splitft_client_compute_seconds:per_step5m"), "rules have run")

    @classmethod
    def query(cls, query: str) -> list[dict]:
        answer = get(f"{cls.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
        if answer is None:
            return []
        found = json.loads(answer)
        assert found["status"] == "success", found
        return found["data"]["result"]

    def test_every_panel_has_data(self):
        variables = {"namespace": "default", "job": NAME, "client": ".*", "__rate_interval": "1m"}
        for path in sorted((ROOT / "charts/splitft/dashboards").glob("*.json")):
            for panel in json.loads(path.read_text())["panels"]:
                for target in panel["targets"]:
                    query = re.sub(r"\$(\w+)", lambda match: variables[match[1]], target["expr"])
                    names = set(re.findall(r"splitft_\w+", query))
                    with self.subTest(dashboard=path.stem, panel=panel["title"], query=query):
                        if names & MAY_BE_EMPTY:
                            self.query(query)  # is one
                            continue
                        rows = wait_until(20, lambda: self.query(query), "data")
                        # An axis of nothing but NaN is no data. Of a histogram nobody has filled it would be.
                        self.assertTrue([row for row in rows if row["value"][1] != "NaN"])

    def test_every_recording_rule_has_data(self):
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    with self.subTest(rule["record"]):
                        wait_until(20, lambda: self.query(rule["record"]), "data")

    def test_series_are_named_after_the_job_and_its_clients(self):
        rows = self.query(f'splitft_client_cut_layer{{job="{NAME}"}}')
        self.assertEqual({(row["metric"]["namespace"], row["metric"]["client"]) for row in rows},
                         {("default", client) for client in CLIENTS})

    def held(self) -> dict:
        conditions = self.followed().get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == "SchedulingHeld"), {"status": "False"})

    def test_the_scheduler_goes_by_it_unless_it_lies(self):
        def plan() -> dict:
            return self.followed().get("status", {}).get("plan", {})
        wait_until(120, lambda: plan().get("state") == "Applied", "a plan")
        self.assertTrue([client for client in self.followed()["status"]["clients"] if client.get("reason")])
        wait_until(30, lambda: self.held()["status"] == "False", "figures to go by")
        lies = {
            "answered 503": lambda text: (503, "<html>down</html>"),
            "none of its answers": lambda text: (200, "<html>log in</html>"),
            "warns": lambda text: (200, json.dumps(json.loads(text) | {"warnings": ["a store is away"]})),
            "is nan": Liar.with_values(lambda when, value: [when, "NaN"]),
            "is -": Liar.with_values(lambda when, value: [when, f"-{value}" if value != "0" else value]),
            "s ago": Liar.with_values(lambda when, value: [when - 7 * 86400, value]),
            "no series of this job": lambda text: (200, '{"status":"success","data":{"resultType":"vector","result":[]}}'),
        }
        for why, lie in lies.items():
            with self.subTest(why):
                before = self.steps()
                self.liar.lie = lie
                wait_until(30, lambda: self.held()["status"] == "True", "the scheduler holds")
                self.assertEqual(self.held()["reason"], "FiguresUnknown")
                self.assertIn(why, self.held()["message"])
                wait_until(60, lambda: self.steps() > before + 3, "training goes on")
                self.liar.lie = Liar.honestly
                wait_until(30, lambda: self.held()["status"] == "False", "the scheduler has figures again")

    def steps(self) -> float:
        return max((float(row["value"][1]) for row in self.query(f'splitft_job_steps_total{{job="{NAME}"}}')), default=0)


if __name__ == "__main__":
    missing = [name for name in ("prometheus", "promtool", "kubectl") if not os.access(PROGRAMS / name, os.X_OK)]
    if missing:
        sys.exit(f"prometheus_test: {', '.join(missing)} not in {PROGRAMS}: run scripts/setup.sh kube cluster")
    unittest.main(argv=sys.argv[:1])
