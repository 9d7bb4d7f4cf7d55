#!/usr/bin/python3
"""The chart as its users meet it: what each value adds, leaves out or refuses, and that a real API server takes it.

Needs the programs of `scripts/setup.sh kube cluster`. Options are unittest's: chart_test.py -v Rendered
"""
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/splitft"
DEFINITION = ROOT / "api/crd/finetunejobs.yaml"
PROGRAMS = pathlib.Path(os.environ.get("SPLITFT_PREFIX") or pathlib.Path.home() / ".cache/splitft") / "kube"
NAMESPACE = "splitft-system"
OPERATOR = "splitft-operator"

NODES = ("operator.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
         ".matchExpressions[0]")

# Values by --set, which together reach every part of every template.
VARIANTS = {
    "defaults": [],
    "one namespace": ["operator.watchNamespace=jobs"],
    "no definition": ["crds.enabled=false"],
    "a definition that goes with the chart": ["crds.keep=false"],
    "one replica": ["operator.replicas=1"],
    "named scrapers": ["networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watchers"],
    "Prometheus Operator": ["serviceMonitor.enabled=true", "serviceMonitor.labels.release=prometheus",
                            "prometheusRule.enabled=true", "prometheusRule.labels.release=prometheus",
                            "dashboards.enabled=true"],
    "figures from Prometheus": ["prometheus.url=https://prometheus.lab:9090", "prometheus.secret=prometheus",
                                'prometheus.query=splitft_job_steps_total{cluster="east"}'],
    "least": ["networkPolicy.enabled=false", "podDisruptionBudget.enabled=false", "aggregateClusterRoles=false"],
    "everything else": [
        "operator.image.tag=1.2.3", "operator.image.pullPolicy=Always", "imagePullSecrets[0].name=registry",
        "operator.podLabels.team=ml", "operator.podAnnotations.note=hello", "operator.nodeSelector.disk=fast",
        "operator.tolerations[0].operator=Exists", "operator.priorityClassName=system-cluster-critical",
        "operator.serviceAccount.annotations.note=hello",
        f"{NODES}.key=zone", f"{NODES}.operator=Exists"],
}


def run(program, *arguments, **options):
    return subprocess.run([PROGRAMS / program, *map(str, arguments)], text=True, capture_output=True, **options)


@functools.cache
def template(*settings, release="splitft"):
    flags = [f"--set={setting}" for setting in settings]
    return run("helm", "template", release, CHART, f"--namespace={NAMESPACE}", *flags)


def rendered(*settings, release="splitft"):
    """The objects that Helm would apply, by "Kind/name"."""
    made = template(*settings, release=release)
    assert made.returncode == 0, made.stderr
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(made.stdout) if each}


def metrics_in(query):
    """The names of splitft's metrics in a query of Prometheus, without a histogram's endings."""
    return {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"(?<![\w:])splitft_\w+", query)}


# Of docs/metrics.md, which the programs' tests hold against what they register: name -> labels.
METRICS = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in re.findall(
    r"^\| `(splitft_\w+)` \| \w+ \| (.*?) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)}
# What nobody needs a curve of.
NOT_SHOWN = {"splitft_build_info", "splitft_operator_workqueue_adds_total", "splitft_operator_workqueue_retries_total",
             "splitft_operator_workqueue_queue_duration_seconds"}


def kinds(objects):
    return {name.split("/")[0] for name in objects}


def pod_specs(objects):
    for each in objects.values():
        if each["kind"] == "Pod":
            yield each["spec"]
        elif each["kind"] == "Deployment":
            yield each["spec"]["template"]["spec"]


def operator_container(objects):
    return objects[f"Deployment/{OPERATOR}"]["spec"]["template"]["spec"]["containers"][0]


class Linted(unittest.TestCase):
    def test_says_nothing_but_that_there_is_no_icon(self):
        lint = run("helm", "lint", "--strict", CHART)
        self.assertEqual(lint.returncode, 0, lint.stdout + lint.stderr)
        self.assertEqual(lint.stderr, "")
        remarks = [line for line in lint.stdout.splitlines() if line.startswith("[")]
        self.assertEqual(remarks, ["[INFO] Chart.yaml: icon is recommended"])


class Rendered(unittest.TestCase):
    def test_has_everything_by_default(self):
        objects = rendered()
        self.assertEqual(
            set(objects), {
                "CustomResourceDefinition/finetunejobs.splitft.io", f"ServiceAccount/{OPERATOR}",
                f"ClusterRole/{OPERATOR}", f"ClusterRoleBinding/{OPERATOR}", f"Role/{OPERATOR}-leader",
                f"RoleBinding/{OPERATOR}-leader", f"ClusterRole/{OPERATOR}-view", f"ClusterRole/{OPERATOR}-edit",
                f"Deployment/{OPERATOR}", f"Service/{OPERATOR}", f"PodDisruptionBudget/{OPERATOR}",
                f"NetworkPolicy/{OPERATOR}", f"Pod/{OPERATOR}-test"
            })
        self.assertNotIn("--watch-namespace", str(operator_container(objects)["args"]))

    def test_has_rights_in_the_one_namespace_only(self):
        objects = rendered("operator.watchNamespace=jobs", "aggregateClusterRoles=false")
        self.assertFalse(kinds(objects) & {"ClusterRole", "ClusterRoleBinding"})
        for kind in ("Role", "RoleBinding"):
            self.assertEqual(objects[f"{kind}/{OPERATOR}"]["metadata"]["namespace"], "jobs")
            self.assertEqual(objects[f"{kind}/{OPERATOR}-leader"]["metadata"]["namespace"], NAMESPACE)
        self.assertEqual(objects[f"RoleBinding/{OPERATOR}"]["subjects"][0]["namespace"], NAMESPACE)
        self.assertIn("--watch-namespace=jobs", operator_container(objects)["args"])

    def test_has_the_same_rights_whether_in_one_namespace_or_all(self):
        in_all = rendered()[f"ClusterRole/{OPERATOR}"]["rules"]
        self.assertEqual(rendered("operator.watchNamespace=jobs")[f"Role/{OPERATOR}"]["rules"], in_all)

    def test_leaves_the_definition_to_others(self):
        self.assertNotIn("CustomResourceDefinition", kinds(rendered("crds.enabled=false")))

    def test_keeps_the_definition_unless_told(self):
        for settings, kept in (([], True), (["crds.keep=false"], False)):
            metadata = rendered(*settings)["CustomResourceDefinition/finetunejobs.splitft.io"]["metadata"]
            self.assertEqual(metadata.get("annotations", {}).get("helm.sh/resource-policy") == "keep", kept)

    def test_has_no_budget_that_a_single_replica_would_block(self):
        self.assertNotIn("PodDisruptionBudget", kinds(rendered("operator.replicas=1")))

    def test_lets_in_named_scrapers_and_its_own_test(self):
        objects = rendered("networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watchers")
        rule = objects[f"NetworkPolicy/{OPERATOR}"]["spec"]["ingress"][0]
        test = objects[f"Pod/{OPERATOR}-test"]["metadata"]["labels"]
        self.assertEqual(rule["from"][0], {"namespaceSelector": {"matchLabels": {"team": "watchers"}}})
        self.assertLessEqual(rule["from"][1]["podSelector"]["matchLabels"].items(), test.items())
        self.assertNotIn("from", rendered()[f"NetworkPolicy/{OPERATOR}"]["spec"]["ingress"][0])

    def test_finds_the_service_to_scrape(self):
        objects = rendered(*VARIANTS["Prometheus Operator"])
        monitor, service = objects[f"ServiceMonitor/{OPERATOR}"], objects[f"Service/{OPERATOR}"]
        self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")
        self.assertLessEqual(monitor["spec"]["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertEqual(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"])

    def test_finds_the_aggregators_of_jobs_to_scrape(self):
        monitor = rendered(*VARIANTS["Prometheus Operator"])[f"PodMonitor/{OPERATOR}-jobs"]
        self.assertEqual(monitor["spec"]["namespaceSelector"], {"any": True})
        endpoint = monitor["spec"]["podMetricsEndpoints"][0]
        # A pod may not speak for another namespace's jobs.
        self.assertEqual((endpoint["port"], endpoint["honorLabels"]), ("metrics", False))
        self.assertEqual(monitor["spec"]["jobLabel"], "splitft.io/job")
        one = rendered(*VARIANTS["Prometheus Operator"], *VARIANTS["one namespace"])[f"PodMonitor/{OPERATOR}-jobs"]
        self.assertEqual(one["spec"]["namespaceSelector"], {"matchNames": ["jobs"]})

    def test_has_rules_whose_metrics_are_there_and_whose_alerts_say_what_to_do(self):
        rule = rendered(*VARIANTS["Prometheus Operator"])[f"PrometheusRule/{OPERATOR}"]
        self.assertEqual(rule["metadata"]["labels"]["release"], "prometheus")
        pages = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
        rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
        alerts = [each for each in rules if "alert" in each]
        self.assertCountEqual(pages, [each["alert"] for each in alerts])
        for each in alerts:
            self.assertEqual(each["annotations"]["runbook_url"], f"docs/runbooks.md#{each['alert'].lower()}")
        for each in rules:
            self.assertLessEqual(metrics_in(each["expr"]), METRICS.keys(), each)

    def test_has_dashboards_whose_panels_ask_for_what_is_there(self):
        made = subprocess.run([sys.executable, ROOT / "charts/make_dashboards.py", "--check"], stdout=subprocess.PIPE)
        self.assertEqual(made.returncode, 0, made.stdout)
        data = rendered(*VARIANTS["Prometheus Operator"])[f"ConfigMap/{OPERATOR}-dashboards"]["data"]
        self.assertEqual({f"splitft-{name}.json" for name in ("fleet", "job", "client", "operator")}, data.keys())
        shown = set()
        for name, text in data.items():
            for panel in json.loads(text)["panels"]:
                for target in panel["targets"]:
                    with self.subTest(dashboard=name, panel=panel["title"]):
                        found = metrics_in(target["expr"])
                        self.assertTrue(found)
                        self.assertLessEqual(found, METRICS.keys())
                        labels = set().union(*(METRICS[metric] for metric in found)) | {"le"}
                        used = re.findall(r"{{(\w+)}}", target["legendFormat"])
                        self.assertLessEqual(set(used), labels)
                        shown |= found
        self.assertEqual(METRICS.keys() - shown - NOT_SHOWN, set(), "no panel shows these")

    def test_tells_the_operator_who_scrapes_aggregators(self):
        def arguments(*settings):
            pod = rendered(*settings)[f"Deployment/{OPERATOR}"]["spec"]["template"]
            return pod["spec"]["containers"][0]["args"]

        self.assertIn('--metrics-from=[{"namespaceSelector":{"matchLabels":{"team":"watchers"}}}]',
                      arguments(*VARIANTS["named scrapers"]))
        self.assertFalse([each for each in arguments() if each.startswith("--metrics-from")])

    def test_tells_the_operator_where_figures_are_read(self):
        pod = rendered(*VARIANTS["figures from Prometheus"])[f"Deployment/{OPERATOR}"]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        self.assertLessEqual({"--prometheus-url=https://prometheus.lab:9090", "--prometheus-interval=15",
                              '--prometheus-query=splitft_job_steps_total{cluster="east"}',
                              "--prometheus-token-file=/etc/splitft/prometheus/token"}, set(container["args"]))
        self.assertEqual(container["volumeMounts"][0]["name"], pod["volumes"][0]["name"])
        self.assertEqual(pod["volumes"][0]["secret"]["secretName"], "prometheus")
        bare = rendered()[f"Deployment/{OPERATOR}"]["spec"]["template"]["spec"]
        self.assertFalse([each for each in bare["containers"][0]["args"] if "prometheus" in each])

    def test_gives_no_right_to_secrets_nor_to_anything_at_large(self):
        for variant, settings in VARIANTS.items():
            for name, each in rendered(*settings).items():
                for rule in each.get("rules", []) if each["kind"].endswith("Role") else []:
                    with self.subTest(variant=variant, role=name, rule=rule):
                        self.assertFalse([right for rights in rule.values() for right in rights if "*" in right])
                        self.assertNotIn("secrets", rule["resources"])

    def test_restricts_its_pods(self):
        for variant, settings in VARIANTS.items():
            for spec in pod_specs(rendered(*settings)):
                with self.subTest(variant=variant, pod=spec["containers"][0]["name"]):
                    self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    self.assertEqual(
                        spec["containers"][0]["securityContext"], {
                            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]}})

    def test_takes_images_of_its_own_version(self):
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        container = operator_container(rendered())
        images = [word.split("=")[1] for word in container["args"] if "-image=" in word] + [container["image"]]
        self.assertGreaterEqual(len(images), 3)
        for image in images:
            self.assertTrue(image.endswith(f":{version}"), image)
        self.assertEqual(operator_container(rendered("operator.image.tag=test"))["image"], "splitft/operator:test")

    def test_labels_its_pods_as_jobs_network_policies_know_them(self):
        for release in ("splitft", "another", "true"):
            objects = rendered(release=release)
            deployment = next(each for each in objects.values() if each["kind"] == "Deployment")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            self.assertEqual(labels["app.kubernetes.io/name"], OPERATOR)  # operator/main.cc has it, too
            self.assertEqual(labels["app.kubernetes.io/instance"], release)
            self.assertLessEqual(deployment["spec"]["selector"]["matchLabels"].items(), labels.items())


class Values(unittest.TestCase):
    def test_that_are_wrong_are_refused_by_name(self):
        for setting, key in (
            ("replicas=2", "replicas"),
            ("operator.replica=2", "replica"),
            ("operator.replicas=-1", "/operator/replicas"),
            ("operator.replicas=many", "/operator/replicas"),
            ("operator.watchNamespace=Not_A_Name", "/operator/watchNamespace"),
            ("operator.image.pullPolicy=Sometimes", "/operator/image/pullPolicy"),
            (r"operator.podLabels.app\.kubernetes\.io/name=mine", "app.kubernetes.io/name"),
            ("worker.image=splitft/worker:1", "/worker/image"),
            ("worker.image.pullPolicy=Always", "pullPolicy"),  # imagePullPolicy is for jobs' images
            ("crds.enabled=maybe", "/crds/enabled"),
            ("imagePullSecrets[0]=registry", "/imagePullSecrets/0"),
            ("serviceMonitor.interval=soon", "/serviceMonitor/interval"),
        ):
            with self.subTest(setting):
                made = template(setting)
                self.assertNotEqual(made.returncode, 0)
                self.assertIn(f"'{key}'", made.stderr)

    def test_are_all_in_values_yaml(self):
        schema = json.loads((CHART / "values.schema.json").read_text())

        def compare(place, part, values):
            part = schema["definitions"][part["$ref"].split("/")[-1]] if "$ref" in part else part
            if "properties" in part:
                self.assertEqual(set(part["properties"]), set(values), place)
                for name, inner in part["properties"].items():
                    compare(f"{place}.{name}", inner, values[name])

        del schema["properties"]["global"]  # Helm's own
        compare("values", schema, yaml.safe_load((CHART / "values.yaml").read_text()))


class Served(unittest.TestCase):
    """By a real API server, which judges everything but runs nothing."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="splitft_chart_")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = pathlib.Path(cls.scratch.name) / "api"
        cls.addClassCleanup(cls.rig, "down")
        cls.rig("up", "--owner-pid", os.getpid())
        # What it enforces on pods it warns of in Deployments.
        for namespace in (NAMESPACE, "jobs"):
            cls.accept(yaml.safe_dump({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {
                    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}}}))
        for monitor in MONITORS:
            cls.accept(yaml.safe_dump(monitor))
        cls.accept(DEFINITION.read_text())
        cls.wait_for("get", "finetunejobs.splitft.io,servicemonitors.monitoring.coreos.com,podmonitors.monitoring.coreos.com,prometheusrules.monitoring.coreos.com", "--all-namespaces")
        for version in ("splitft.io/v1alpha1", "monitoring.coreos.com/v1"):
            cls.wait_for("get", "--raw", f"/openapi/v3/apis/{version}")

    @classmethod
    def rig(cls, command, *arguments, text=None):
        done = subprocess.run([ROOT / "tests/support/kube/api_level.sh", command, cls.folder, *map(str, arguments)],
                              input=text, text=True, capture_output=True)
        if done.returncode != 0 or "Warning" in done.stderr:  # of pod security, of fields that go
            raise AssertionError(done.stderr or done.stdout)
        return done.stdout

    @classmethod
    def wait_for(cls, *request):
        """Until the server answers it: definitions take effect a little after they are written."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return cls.rig("kubectl", *request)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @classmethod
    def accept(cls, manifests, *flags):
        """Unknown fields are refused, too; a warning counts as a refusal."""
        return cls.rig("kubectl", "apply", "--server-side", "--force-conflicts", "--validate=strict", "--filename=-",
                       *flags, text=manifests)

    def test_accepts_every_variant(self):
        for variant, settings in VARIANTS.items():
            with self.subTest(variant):
                made = template(*settings)
                self.assertEqual(made.returncode, 0, made.stderr)
                self.accept(made.stdout, "--dry-run=server")

    def test_agrees_with_kubeconform(self):
        schemas = pathlib.Path(self.scratch.name) / "schemas"
        schemas.mkdir()
        kinds_used = {(each["apiVersion"], each["kind"])
                      for settings in VARIANTS.values() for each in rendered(*settings).values()}
        for version, kind in kinds_used:
            (schemas / f"{kind.lower()}.json").write_text(json.dumps(self.published_schema(version, kind)))
        for variant, settings in VARIANTS.items():
            with self.subTest(variant):
                done = run("kubeconform", "-summary", "-schema-location", f"{schemas}/{{{{.ResourceKind}}}}.json",
                           input=template(*settings).stdout)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn("Invalid: 0, Errors: 0, Skipped: 0", done.stdout)

    def published_schema(self, version, kind):
        """The server's own, closed against fields that it does not name."""
        path = f"/openapi/v3/apis/{version}" if "/" in version else f"/openapi/v3/api/{version}"
        components = json.loads(self.rig("kubectl", "get", "--raw", path))["components"]
        for schema in components["schemas"].values():
            if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
                schema["additionalProperties"] = False
        name = next(name for name, schema in components["schemas"].items() if name.endswith(f".{kind}") and
                    "x-kubernetes-group-version-kind" in schema)
        return {"$ref": f"#/components/schemas/{name}", "components": components}

    def test_accepts_a_release_whose_name_is_no_string_in_yaml(self):
        self.accept(template(release="true").stdout, "--dry-run=server")

    def test_accepts_the_examples(self):
        for path in sorted((ROOT / "examples/kubernetes").glob("*.yaml")):
            with self.subTest(path.name):
                self.accept(path.read_text(), "--dry-run=server", "--namespace=jobs")

    def test_reads_the_same_definition_from_the_chart(self):
        def read(manifest):
            return json.loads(self.accept(manifest, "--dry-run=server", "--output=json"))["spec"]

        of_chart = run("helm", "template", "splitft", CHART, "--show-only=templates/crd.yaml").stdout
        self.assertEqual(read(of_chart), read(DEFINITION.read_text()))


def monitors(kind, endpoints, **properties):
    """As much of Prometheus Operator's as the chart uses."""
    plural = f"{kind.lower()}s"
    endpoint = {"type": "object", "properties": {
        "port": {"type": "string"}, "path": {"type": "string"}, "interval": {"type": "string"},
        "honorLabels": {"type": "boolean"}, "metricRelabelings": {"type": "array", "items": {
            "type": "object", "properties": {"action": {"type": "string"}, "regex": {"type": "string"}}}}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com", "annotations": {
            "api-approved.kubernetes.io": "unapproved, a test's"}},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {
                    "type": "object", "required": [endpoints, "selector"], "properties": {
                        "selector": {"type": "object", "properties": {"matchLabels": {
                            "type": "object", "additionalProperties": {"type": "string"}}}},
                        endpoints: {"type": "array", "items": endpoint}, **properties}}}}}}]}}


RULES = monitors("PrometheusRule", "groups")
RULES["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = {
    "type": "object", "properties": {"groups": {"type": "array", "items": {
        "type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "rules": {"type": "array", "items": {
                "type": "object", "required": ["expr"], "properties": {
                    **{name: {"type": "string"} for name in ("record", "alert", "expr", "for")},
                    **{name: {"type": "object", "additionalProperties": {"type": "string"}}
                       for name in ("labels", "annotations")}}}}}}}}}
MONITORS = [
    RULES,
    monitors("ServiceMonitor", "endpoints"),
    monitors("PodMonitor", "podMetricsEndpoints", namespaceSelector={"type": "object", "properties": {
        "any": {"type": "boolean"}, "matchNames": {"type": "array", "items": {"type": "string"}}}},
        jobLabel={"type": "string"}),
]

if __name__ == "__main__":
    missing = [name for name in ("helm", "kubeconform", "kubectl") if not os.access(PROGRAMS / name, os.X_OK)]
    if missing:
        sys.exit(f"chart_test: {', '.join(missing)} not in {PROGRAMS}: run scripts/setup.sh kube cluster")
    unittest.main()
