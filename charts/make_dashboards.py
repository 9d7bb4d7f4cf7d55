#!/usr/bin/env python3
"""Writes the chart's Grafana dashboards: splitft/dashboards/*.json. A panel is a line below; run it after a change.

    charts/make_dashboards.py [--check]      --check: only says whether the files are what would be written
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "splitft/dashboards"
WIDTH, HEIGHT = 12, 8  # of a panel, in Grafana's grid of 24 columns

JOB = 'namespace="$namespace", job="$job"'
CLIENT = f'{JOB}, client=~"$client"'

# Per dashboard: uid, title, variables (name, query of its values), panels (title, unit, [(query, legend)]).
DASHBOARDS = [
    ("splitft-fleet", "splitft / fleet", [], [
        ("Jobs by state", "short", [("sum by (state) (splitft_operator_jobs)", "{{state}}")]),
        ("Tokens per second, by job", "short", [
            ("sum by (namespace, job) (rate(splitft_job_tokens_total[$__rate_interval]))", "{{namespace}}/{{job}}")]),
        ("Steps per minute, by job", "short", [
            ("60 * sum by (namespace, job) (rate(splitft_job_steps_total[$__rate_interval]))", "{{namespace}}/{{job}}")]),
        ("Share done", "percentunit", [
            ("splitft_job_steps_total / splitft_job_planned_steps", "{{namespace}}/{{job}}")]),
        ("Clients connected, by job", "short", [
            ("sum by (namespace, job) (splitft_client_connected)", "{{namespace}}/{{job}}")]),
        ("What crosses the wire, by job", "Bps", [
            ("sum by (namespace, job, direction) (rate(splitft_client_bytes_total[$__rate_interval]))",
             "{{namespace}}/{{job}} {{direction}}")]),
        ("Changes of cuts, codecs and microbatches in an hour", "short", [
            ("sum by (namespace, job, result) (increase(splitft_job_plans_total[1h]))",
             "{{namespace}}/{{job}} {{result}}")]),
        ("Clients that came back, in an hour", "short", [
            ("sum by (namespace, job) (increase(splitft_client_rejoins_total[1h]))", "{{namespace}}/{{job}}")]),
    ]),
    ("splitft-job", "splitft / job", [
        ("namespace", "label_values(splitft_job_planned_steps, namespace)"),
        ("job", 'label_values(splitft_job_planned_steps{namespace="$namespace"}, job)'),
    ], [
        ("Loss", "none", [(f"splitft_job_loss{{{JOB}}}", "training"), (f"splitft_job_eval_loss{{{JOB}}}", "held out")]),
        ("Steps", "short", [(f"splitft_job_steps_total{{{JOB}}}", "done"),
                            (f"splitft_job_planned_steps{{{JOB}}}", "planned")]),
        ("Step time", "s", [
            (f"histogram_quantile(0.5, sum by (le) (rate(splitft_job_step_duration_seconds_bucket{{{JOB}}}[$__rate_interval])))",
             "median"),
            (f"histogram_quantile(0.99, sum by (le) (rate(splitft_job_step_duration_seconds_bucket{{{JOB}}}[$__rate_interval])))",
             "p99")]),
        ("Tokens per second", "short", [(f"rate(splitft_job_tokens_total{{{JOB}}}[$__rate_interval])", "all clients")]),
        ("Cuts", "short", [(f"splitft_client_cut_layer{{{JOB}}}", "{{client}}")]),
        ("Codecs", "short", [(f"splitft_client_codec{{{JOB}}} == 1", "{{client}} {{codec}}")]),
        ("Microbatches", "short", [(f"splitft_job_microbatches{{{JOB}}}", "parts of each batch")]),
        ("Where the aggregator's time goes", "percentunit", [
            (f"rate(splitft_aggregator_seconds_total{{{JOB}}}[$__rate_interval])", "{{activity}}")]),
        ("Who computes how long for a step", "s", [
            (f'sum by (client) (rate(splitft_client_seconds_total{{{JOB}, phase!="wait"}}[$__rate_interval])) / '
             f"scalar(sum(rate(splitft_job_steps_total{{{JOB}}}[$__rate_interval])))", "{{client}}")]),
        ("Wire, by client", "Bps", [
            (f"sum by (client, direction) (rate(splitft_client_bytes_total{{{JOB}}}[$__rate_interval]))",
             "{{client}} {{direction}}")]),
        ("Whom the aggregator waits for", "percentunit", [
            (f"rate(splitft_client_awaited_seconds_total{{{JOB}}}[$__rate_interval])", "{{client}}")]),
        ("Gradient norm", "none", [(f"splitft_job_gradient_norm{{{JOB}}}", "before clipping")]),
        ("Adapter norm", "none", [(f"splitft_job_adapter_norm{{{JOB}}}", "all trained adapters")]),
        ("Learning rate", "none", [(f"splitft_job_learning_rate{{{JOB}}}", "learning rate")]),
        ("Steps started over, plans", "short", [
            (f"splitft_job_restarted_steps_total{{{JOB}}}", "started over"),
            (f"splitft_job_plans_total{{{JOB}}}", "plans {{result}}")]),
        ("Last step", "s", [(f"splitft_job_last_step_seconds{{{JOB}}}", "{{activity}}")]),
        ("Lost to lower ranks", "percentunit", [
            (f"splitft_job_discarded_energy_ratio{{{JOB}}}", "of the adapters' energy, by the last change")]),
    ]),
    ("splitft-client", "splitft / client", [
        ("namespace", "label_values(splitft_job_planned_steps, namespace)"),
        ("job", 'label_values(splitft_job_planned_steps{namespace="$namespace"}, job)'),
        ("client", 'label_values(splitft_client_cut_layer{namespace="$namespace", job="$job"}, client)'),
    ], [
        ("Loss of its own batches", "none", [(f"splitft_client_loss{{{CLIENT}}}", "{{client}}")]),
        ("Where its time goes", "percentunit", [
            (f"rate(splitft_client_seconds_total{{{CLIENT}}}[$__rate_interval])", "{{client}} {{phase}}")]),
        ("Last step", "s", [(f"splitft_client_last_step_seconds{{{CLIENT}}}", "{{client}} {{phase}}")]),
        ("Last batch", "short", [(f"splitft_client_last_step_tokens{{{CLIENT}}}", "{{client}} tokens")]),
        ("Cut, and rank next to it", "short", [
            (f"splitft_client_cut_layer{{{CLIENT}}}", "{{client}} cut"),
            (f"splitft_client_cut_limit{{{CLIENT}}} > 0", "{{client}} may have at most"),
            (f"splitft_client_rank{{{CLIENT}}}", "{{client}} rank")]),
        ("Tokens per second", "short", [(f"rate(splitft_client_tokens_total{{{CLIENT}}}[$__rate_interval])", "{{client}}")]),
        ("What its wire carries, as measured", "Bps", [
            (f"splitft_client_uplink_bytes_per_second{{{CLIENT}}} > 0", "{{client}} up"),
            (f"splitft_client_downlink_bytes_per_second{{{CLIENT}}} > 0", "{{client}} down")]),
        ("Round trip", "s", [(f"splitft_client_round_trip_seconds{{{CLIENT}}}", "{{client}}")]),
        ("Wire, by kind of frame", "Bps", [
            (f"rate(splitft_client_bytes_total{{{CLIENT}}}[$__rate_interval])", "{{client}} {{direction}} {{kind}}")]),
        ("Memory", "bytes", [
            (f"splitft_client_peak_memory_bytes{{{CLIENT}}}", "{{client}} peak"),
            (f"splitft_client_memory_limit_bytes{{{CLIENT}}} > 0", "{{client}} limit")]),
        ("Processors, of the last step", "s", [
            (f"splitft_client_last_step_cpu_seconds{{{CLIENT}}}", "{{client}} used"),
            (f"splitft_client_last_step_throttled_seconds{{{CLIENT}}}", "{{client}} held back by its CPU limit")]),
        ("CPU limit", "short", [(f"splitft_client_cpu_quota_cores{{{CLIENT}}}", "{{client}} cores, 0: none")]),
        ("Connected", "short", [(f"splitft_client_connected{{{CLIENT}}}", "{{client}}")]),
        ("Times it came back", "short", [(f"splitft_client_rejoins_total{{{CLIENT}}}", "{{client}}")]),
    ]),
    ("splitft-operator", "splitft / operator", [], [
        ("Leaders", "short", [("sum(splitft_operator_leader)", "leaders")]),
        ("Looks at jobs per second", "short", [
            ("sum by (result) (rate(splitft_operator_reconcile_total[$__rate_interval]))", "{{result}}")]),
        ("How long a look takes", "s", [
            ("histogram_quantile(0.99, sum by (le) (rate(splitft_operator_reconcile_duration_seconds_bucket[$__rate_interval])))",
             "p99")]),
        ("Queue", "short", [("max(splitft_operator_workqueue_depth)", "depth")]),
        ("Longest wait in the queue", "s", [("max(splitft_operator_workqueue_longest_wait_seconds)", "longest")]),
        ("Requests to the API server", "short", [
            ("sum by (verb, code) (rate(splitft_operator_api_requests_total[$__rate_interval]))", "{{verb}} {{code}}")]),
        ("How long they take, p99", "s", [
            ("histogram_quantile(0.99, sum by (le, verb) (rate(splitft_operator_api_request_duration_seconds_bucket[$__rate_interval])))",
             "{{verb}}")]),
        ("Watches that failed or lost their place", "short", [
            ("sum by (resource) (rate(splitft_operator_watch_errors_total[$__rate_interval]))", "{{resource}} failed"),
            ("sum by (resource) (rate(splitft_operator_watch_relists_total[$__rate_interval]))", "{{resource}} relisted")]),
        ("Reads of Prometheus, by the scheduler", "short", [
            ("sum by (result) (rate(splitft_operator_prometheus_reads_total[$__rate_interval]))", "{{result}}")]),
    ]),
]


def dashboard(uid: str, title: str, variables: list, panels: list) -> dict:
    source = {"type": "prometheus", "uid": "${datasource}"}
    chosen = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
    chosen += [
        {"name": name, "type": "query", "datasource": source, "refresh": 2, "sort": 1, "query": query,
         "multi": name == "client", "includeAll": name == "client"}
        for name, query in variables
    ]
    drawn = [
        {
            "id": i + 1,
            "type": "timeseries",
            "title": name,
            "datasource": source,
            "gridPos": {"x": i % 2 * WIDTH, "y": i // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit, "custom": {"lineWidth": 1, "showPoints": "never"}}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "targets": [
                {"refId": chr(ord("A") + n), "datasource": source, "expr": query, "legendFormat": legend}
                for n, (query, legend) in enumerate(queries)
            ],
        }
        for i, (name, unit, queries) in enumerate(panels)
    ]
    return {
        "uid": uid, "title": title, "tags": ["splitft"], "schemaVersion": 39, "editable": True, "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"}, "templating": {"list": chosen}, "panels": drawn,
    }


def main() -> int:
    stale = []
    for uid, title, variables, panels in DASHBOARDS:
        path = FOLDER / f"{uid}.json"
        text = json.dumps(dashboard(uid, title, variables, panels), indent=1) + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if "--check" not in sys.argv:
                FOLDER.mkdir(exist_ok=True)
                path.write_text(text)
    if "--check" in sys.argv and stale:
        print(f"{', '.join(stale)}: not what charts/make_dashboards.py writes")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
