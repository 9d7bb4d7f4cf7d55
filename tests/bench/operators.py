"""The two operators that are measured against each other: how each is started, and its jobs of four pods."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from api_server import ApiServer
from programs import cpu_seconds, peak_bytes

NAMESPACE = "bench"
ROOT = Path(__file__).resolve().parent.parent.parent
# Where training-operator looks for the certificate of its webhooks, whatever it is told.
CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")


@dataclass
class Operator:
    """One of the two."""

    name: str
    jobs: str  # path of its jobs in the API
    log_says_ready: str
    command: list = field(default_factory=list)

    def install(self, server: ApiServer) -> None:
        """What it needs in the cluster, once for each server."""
        raise NotImplementedError

    def members(self) -> contextlib.AbstractContextManager:
        """What stands for the pods' programs while their status says that they run."""
        return contextlib.nullcontext()

    def uninstall(self) -> None:
        """What it left on this machine."""

    def job(self, name: str) -> dict:
        raise NotImplementedError


class Splitft(Operator):
    """Ours, as it is installed: it leads by a lease."""

    def __init__(self, build: Path):
        program = build / "bin/splitft-operator"
        self.aggregators = build / "bin/fake_aggregators"
        super().__init__(
            name="splitft",
            jobs=f"/apis/splitft.io/v1alpha1/namespaces/{NAMESPACE}/finetunejobs",
            log_says_ready="synced",
            command=[program, "--health-address", "127.0.0.1:0"],
        )

    def install(self, server: ApiServer) -> None:
        server.add_kind(ROOT / "api/crd/finetunejobs.yaml", self.jobs)

    @contextlib.contextmanager
    def members(self):
        with subprocess.Popen([self.aggregators], stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout.readline().strip() != "listening":
                    raise RuntimeError("fake_aggregators: did not start")
                yield
            finally:
                process.kill()

    def job(self, name: str) -> dict:
        return {
            "apiVersion": "splitft.io/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {"name": name},
            "spec": {
                "model": {"source": {"persistentVolumeClaim": "models/llama"}},
                "lora": {"rank": 8, "targetModules": ["q_proj", "v_proj"]},
                "training": {"steps": 1000},
                "clients": [
                    {"name": f"client{i}", "data": {"persistentVolumeClaim": f"texts{i}/text.jsonl"}, "cutLayer": 2}
                    for i in range(3)
                ],
                "output": {"persistentVolumeClaim": "adapters"},
            },
        }


class TrainingOperator(Operator):
    """Kubeflow's, as its manifests start it, without the throttle of its client, and for PyTorchJobs alone."""

    def __init__(self, programs: Path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.crd = programs / "kubeflow.org_pytorchjobs.yaml"
        super().__init__(
            name="training-operator",
            jobs=f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs",
            log_says_ready="Starting workers",
            command=[programs / "training-operator", "--enable-scheme=pytorchjob", "--controller-threads", "4"]
            + ["--kube-api-qps", "5000", "--kube-api-burst", "5000", "--webhook-server-port", str(port)]
            + ["--metrics-bind-address", "0", "--health-probe-bind-address", "0"],
        )

    def install(self, server: ApiServer) -> None:
        """The kind of its jobs, and webhooks without rules: it waits for their certificate, which it makes itself and
        which a kubelet would show it as files."""
        server.add_kind(self.crd, self.jobs)
        server.kubectl("create", "namespace", "kubeflow")
        server.kubectl("create", "secret", "generic", "training-operator-webhook-cert", "--namespace", "kubeflow")
        hooks = {"metadata": {"name": "validator.training-operator.kubeflow.org"}, "webhooks": []}
        server.ask("POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", hooks)
        with Process(self, server, server.folder / "log/certificates.log", await_ready=False) as process:
            self._show_certificate(server)
            process.wait_until_ready()

    def uninstall(self) -> None:
        for file in CERTIFICATES.glob("*"):
            file.unlink()
        for folder in (CERTIFICATES, CERTIFICATES.parent):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()

    @staticmethod
    def _show_certificate(server: ApiServer) -> None:
        CERTIFICATES.mkdir(parents=True, exist_ok=True)
        for _ in range(300):
            secret = json.loads(server.ask("GET", "/api/v1/namespaces/kubeflow/secrets/training-operator-webhook-cert"))
            if secret.get("data"):
                for name, value in secret["data"].items():
                    (CERTIFICATES / name).write_bytes(base64.b64decode(value))
                return
            time.sleep(0.1)
        raise RuntimeError("training-operator has made no certificate")

    def job(self, name: str) -> dict:
        def replicas(count: int) -> dict:
            container = {"name": "pytorch", "image": "worker:1", "args": ["--epochs", "1"]}
            return {"replicas": count, "restartPolicy": "Never", "template": {"spec": {"containers": [container]}}}

        return {
            "apiVersion": "kubeflow.org/v1",
            "kind": "PyTorchJob",
            "metadata": {"name": name},
            "spec": {"pytorchReplicaSpecs": {"Master": replicas(1), "Worker": replicas(3)}},
        }


class Process:
    """An operator that runs; a context. Its caches are full when the context begins."""

    def __init__(self, operator: Operator, server: ApiServer, log: Path, await_ready: bool = True):
        self._operator = operator
        self._log = log
        self._await_ready = await_ready
        self._environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
        self._flags = ["--kubeconfig", str(server.kubeconfig)]

    def __enter__(self) -> "Process":
        self.started = time.perf_counter()
        words = [str(word) for word in self._operator.command + self._flags]
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, env=self._environment)
        if self._await_ready:
            try:
                self.wait_until_ready()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> None:
        while self._operator.log_says_ready not in self._log.read_text(errors="replace"):
            if self._process.poll() is not None or time.perf_counter() - self.started > 60:
                raise RuntimeError(f"{self._operator.name} did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.002)
        self.ready_seconds = time.perf_counter() - self.started

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def peak_bytes(self) -> int:
        return peak_bytes(self._process.pid)

    def wait_until_settled(self) -> None:
        """Until it has done next to nothing for two seconds: 2 % of a core."""
        for _ in range(150):
            before = self.cpu_seconds()
            time.sleep(2)
            if self.cpu_seconds() - before <= 0.04:
                return
        raise RuntimeError(f"{self._operator.name} does not come to rest")
