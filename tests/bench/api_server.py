"""A Kubernetes API server of the benchmarks' own (tests/support/kube/api_level.sh), and what they ask it."""

import http.client
import json
import os
import re
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from programs import cpu_seconds

SCRIPT = Path(__file__).resolve().parent.parent / "support/kube/api_level.sh"
PARALLEL = 16  # connections of many requests at once
WRITES = re.compile(r'^apiserver_request_total\{(?:.*,)?resource="(\w+)".*verb="(?:POST|PUT|PATCH|APPLY|DELETE)".* (\S+)$', re.M)


class ApiServer:
    """Lives in `folder` for as long as the context."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._local = threading.local()

    def __enter__(self) -> "ApiServer":
        self._script("up", "--owner-pid", str(os.getpid()))
        self._token = (self.folder / "pki/admin.token").read_text().strip()
        self._port = int((self.folder / "port").read_text())
        self._tls = ssl.create_default_context(cafile=self.folder / "pki/ca.crt")
        return self

    def __exit__(self, *_) -> None:
        self._script("down")

    def kubectl(self, *arguments: str) -> None:
        self._script("kubectl", *arguments)

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls, timeout=120)

    def headers(self, content_type: str = "application/json") -> dict:
        return {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}

    def ask(self, method: str, path: str, body: dict | None = None, content_type: str = "application/json") -> bytes:
        """One request over this thread's connection; the answer's body."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.connect()
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, self.headers(content_type))
        response = connection.getresponse()
        answer = response.read()
        if response.status // 100 != 2:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return answer

    def ask_all(self, requests: list[tuple]) -> None:
        """Many requests, over several connections; each is the arguments of `ask`."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            for _ in pool.map(lambda request: self.ask(*request), requests):
                pass

    def add_kind(self, definition: Path, path: str) -> None:
        """Defines a kind; waits until its objects are served at `path`."""
        self.kubectl("apply", "--server-side", "-f", str(definition))
        for _ in range(600):
            try:
                self.ask("GET", path)
                return
            except RuntimeError:
                time.sleep(0.1)
        raise RuntimeError(f"{path} is not served")

    def items(self, path: str) -> list[dict]:
        return json.loads(self.ask("GET", path))["items"]

    def count(self, path: str) -> int:
        """How many objects there are; cheap."""
        page = json.loads(self.ask("GET", f"{path}?limit=1"))
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def writes(self) -> dict[str, int]:
        """Writes the server has answered, by resource. Not those of leases, which everybody renews, itself included."""
        found: dict[str, int] = {}
        for resource, count in WRITES.findall(self.ask("GET", "/metrics").decode()):
            if resource != "leases":
                found[resource] = found.get(resource, 0) + int(float(count))
        return found

    def cpu_seconds(self) -> float:
        """What etcd and the API server have used."""
        own = str(self.folder).encode()
        found = 0.0
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit():
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[0].endswith((b"/etcd", b"/kube-apiserver")) and any(own in word for word in words[1:]):
                        found += cpu_seconds(int(entry.name))
            except OSError:  # it ended meanwhile
                continue
        return found

    def _script(self, command: str, *arguments: str) -> None:
        words = [str(SCRIPT), command, str(self.folder), *arguments]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}")


class Arrivals:
    """When objects of a list appeared, by a watch. A context."""

    def __init__(self, server: ApiServer, path: str):
        self._connection = server.connect()
        self._connection.request("GET", f"{path}?watch=1&resourceVersion=0", headers=server.headers())
        self._response = self._connection.getresponse()
        self._changed = threading.Condition()
        self._times: list[float] = []
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Arrivals":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._connection.sock.shutdown(2)
        self._thread.join()

    def wait_for(self, count: int, limit_s: float = 60) -> float:
        """When the count-th came."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._times) >= count, limit_s):
                raise RuntimeError(f"{len(self._times)} of {count} objects came within {limit_s} s")
            return self._times[count - 1]

    def _read(self) -> None:
        try:
            while line := self._response.readline():
                if line.startswith(b'{"type":"ADDED"'):
                    with self._changed:
                        self._times.append(time.perf_counter())
                        self._changed.notify_all()
        except (OSError, ValueError, http.client.HTTPException):
            pass  # the connection was closed
