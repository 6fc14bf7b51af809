"""The judge of Nomad's job files: a parser of HCL, and the names that the job specification knows.

In: a file's text. Out: what is wrong with it, one line each. The table has the blocks that shipway writes,
and all that Nomad takes in them. Sources: the `hcl` tags of hashicorp/nomad's api/jobs.go, api/tasks.go,
api/services.go and api/resources.go, and `taskConfigSpec` of drivers/docker/config.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import hcl2

DURATION = re.compile(r"([0-9]+(ms|s|m|h))+")


def text(value: Any) -> bool:
    return isinstance(value, str)


def number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value: Any) -> bool:
    return isinstance(value, bool)


def duration(value: Any) -> bool:
    return isinstance(value, str) and bool(DURATION.fullmatch(value))


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(text(one) for one in value)


def one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: value in words


@dataclass(frozen=True)
class Kind:
    """A block: whether it has a label, its attributes, its blocks; None allows any attribute."""

    attributes: dict[str, Callable[[Any], bool]] | None
    blocks: dict[str, Kind] = field(default_factory=dict)
    label: bool = False


ANY = Kind(None)
CHANGE = one_of("noop", "restart", "signal", "script")
CONSTRAINT = Kind({"attribute": text, "operator": text, "value": text})
AFFINITY = Kind({"attribute": text, "operator": text, "value": text, "weight": number})
CHECK_RESTART = Kind({"limit": number, "grace": duration, "ignore_warnings": boolean})
IDENTITY = Kind(
    {
        "name": text,
        "aud": texts,
        "change_mode": CHANGE,
        "change_signal": text,
        "env": boolean,
        "file": boolean,
        "filepath": text,
        "service_name": text,
        "ttl": duration,
        "extra_claims": texts,
    }
)
CHECK = Kind(
    {
        "name": text,
        "type": one_of("http", "tcp", "script", "grpc"),
        "command": text,
        "args": texts,
        "path": text,
        "protocol": text,
        "port": text,
        "expose": boolean,
        "address_mode": text,
        "advertise": text,
        "interval": duration,
        "timeout": duration,
        "initial_status": text,
        "notes": text,
        "tls_server_name": text,
        "tls_skip_verify": boolean,
        "method": text,
        "body": text,
        "grpc_service": text,
        "grpc_use_tls": boolean,
        "task": text,
        "success_before_passing": number,
        "failures_before_critical": number,
        "failures_before_warning": number,
        "on_update": text,
    },
    {"check_restart": CHECK_RESTART, "header": ANY},
)
SERVICE = Kind(
    {
        "name": text,
        "tags": texts,
        "canary_tags": texts,
        "enable_tag_override": boolean,
        "port": text,
        "address_mode": text,
        "address": text,
        "task": text,
        "on_update": text,
        "provider": one_of("nomad", "consul"),
        "cluster": text,
        "kind": text,
    },
    {
        "check": CHECK,
        "check_restart": CHECK_RESTART,
        "connect": ANY,
        "meta": ANY,
        "canary_meta": ANY,
        "tagged_addresses": ANY,
        "identity": IDENTITY,
        "weights": Kind({"passing": number, "warning": number}),
    },
)
RESTART = Kind(
    {
        "attempts": number,
        "interval": duration,
        "delay": duration,
        "mode": one_of("delay", "fail"),
        "render_templates": boolean,
    }
)
RESOURCES = Kind(
    {"cpu": number, "cores": number, "memory": number, "memory_max": number},
    {"device": Kind({"count": number}, {"constraint": CONSTRAINT, "affinity": AFFINITY}, label=True)},
)
TEMPLATE = Kind(
    {
        "source": text,
        "destination": text,
        "data": text,
        "change_mode": CHANGE,
        "change_signal": text,
        "once": boolean,
        "splay": duration,
        "perms": text,
        "uid": number,
        "gid": number,
        "left_delimiter": text,
        "right_delimiter": text,
        "env": boolean,
        "vault_grace": duration,
        "error_on_missing_key": boolean,
    },
    {"wait": Kind({"min": duration, "max": duration}), "change_script": ANY},
)
MOUNT = Kind(
    {
        "type": one_of("bind", "volume", "tmpfs"),
        "target": text,
        "source": text,
        "readonly": boolean,
    },
    {
        "bind_options": Kind({"propagation": text}),
        "volume_options": ANY,
        "tmpfs_options": Kind({"size": number, "mode": number}),
    },
)
DOCKER = Kind(
    {
        **dict.fromkeys(
            [
                "image",
                "cgroupns",
                "command",
                "cpuset_cpus",
                "hostname",
                "image_pull_timeout",
                "ipc_mode",
                "ipv4_address",
                "ipv6_address",
                "isolation",
                "load",
                "mac_address",
                "network_mode",
                "oom_score_adj",
                "pid_mode",
                "runtime",
                "uts_mode",
                "userns_mode",
                "volume_driver",
                "work_dir",
            ],
            text,
        ),
        **dict.fromkeys(
            [
                "args",
                "cap_add",
                "cap_drop",
                "dns_search_domains",
                "dns_options",
                "dns_servers",
                "entrypoint",
                "extra_hosts",
                "group_add",
                "network_aliases",
                "ports",
                "security_opt",
                "volumes",
            ],
            texts,
        ),
        **dict.fromkeys(("cpu_cfs_period", "memory_hard_limit", "pids_limit", "shm_size"), number),
        **dict.fromkeys(
            [
                "advertise_ipv6_address",
                "auth_soft_fail",
                "cpu_hard_limit",
                "force_pull",
                "init",
                "interactive",
                "privileged",
                "readonly_rootfs",
                "tty",
            ],
            boolean,
        ),
    },
    {
        "mount": MOUNT,
        "auth": ANY,
        "devices": ANY,
        "healthchecks": Kind({"disable": boolean}),
        "labels": ANY,
        "logging": ANY,
        "storage_opt": ANY,
        "sysctl": ANY,
        "ulimit": ANY,
    },
)
TASK = Kind(
    {
        "driver": one_of("docker"),
        "user": text,
        "kill_timeout": duration,
        "kill_signal": text,
        "leader": boolean,
        "shutdown_delay": duration,
        "kind": text,
    },
    {
        "action": ANY,
        "affinity": AFFINITY,
        "artifact": ANY,
        "config": DOCKER,
        "constraint": CONSTRAINT,
        "consul": ANY,
        "env": ANY,
        "identity": IDENTITY,
        "lifecycle": Kind({"hook": one_of("prestart", "poststart", "poststop"), "sidecar": boolean}),
        "logs": Kind({"max_files": number, "max_file_size": number, "disabled": boolean}),
        "meta": ANY,
        "resources": RESOURCES,
        "restart": RESTART,
        "scaling": ANY,
        "schedule": ANY,
        "secret": ANY,
        "service": SERVICE,
        "template": TEMPLATE,
        "vault": ANY,
        "volume_mount": Kind(
            {
                "volume": text,
                "destination": text,
                "read_only": boolean,
                "propagation_mode": text,
                "selinux_label": text,
            }
        ),
    },
    label=True,
)
UPDATE = Kind(
    {
        "stagger": duration,
        "max_parallel": number,
        "health_check": one_of("checks", "task_states", "manual"),
        "min_healthy_time": duration,
        "healthy_deadline": duration,
        "progress_deadline": duration,
        "canary": number,
        "auto_revert": boolean,
        "auto_promote": boolean,
    }
)
SPREAD = Kind({"attribute": text, "weight": number}, {"target": Kind({"percent": number}, label=True)})
NETWORK = Kind(
    {"mode": one_of("bridge", "host", "none"), "hostname": text},
    {
        "port": Kind(
            {"static": number, "to": number, "host_network": text, "ignore_collision": boolean}, label=True
        ),
        "dns": Kind({"servers": texts, "searches": texts, "options": texts}),
    },
)
GROUP = Kind(
    {
        "count": number,
        "shutdown_delay": duration,
        "max_run_duration": duration,
        "prevent_reschedule_on_lost": boolean,
    },
    {
        "affinity": AFFINITY,
        "constraint": CONSTRAINT,
        "consul": ANY,
        "disconnect": ANY,
        "ephemeral_disk": Kind({"sticky": boolean, "migrate": boolean, "size": number}),
        "meta": ANY,
        "migrate": ANY,
        "network": NETWORK,
        "reschedule": ANY,
        "restart": RESTART,
        "scaling": ANY,
        "service": SERVICE,
        "spread": SPREAD,
        "task": TASK,
        "update": UPDATE,
        "volume": Kind(
            {
                "type": one_of("host", "csi"),
                "source": text,
                "read_only": boolean,
                "sticky": boolean,
                "access_mode": text,
                "attachment_mode": text,
                "per_alloc": boolean,
            },
            {"mount_options": ANY},
            label=True,
        ),
    },
    label=True,
)
JOB = Kind(
    {
        "type": one_of("service", "batch", "system", "sysbatch"),
        "region": text,
        "namespace": text,
        "datacenters": texts,
        "node_pool": text,
        "priority": number,
        "all_at_once": boolean,
        "id": text,
        "name": text,
    },
    {
        "affinity": AFFINITY,
        "constraint": CONSTRAINT,
        "group": GROUP,
        "meta": ANY,
        "migrate": ANY,
        "multiregion": ANY,
        "parameterized": ANY,
        "periodic": ANY,
        "reschedule": ANY,
        "spread": SPREAD,
        "ui": ANY,
        "update": UPDATE,
        "vault": ANY,
    },
    label=True,
)
FILE = Kind({}, {"job": JOB, "variable": Kind(None, label=True), "locals": ANY})


def read(job: str) -> dict[str, Any]:
    """The file as values: blocks are lists, a label is a key; texts as Nomad has them."""
    return _plain(hcl2.loads(job))


def problems(job: str) -> list[str]:
    return list(_judge(read(job), FILE, "file"))


def _judge(body: dict[str, Any], kind: Kind, place: str) -> Iterator[str]:
    for key, value in body.items():
        if key in kind.blocks:
            yield from _judge_blocks(value, kind.blocks[key], f"{place}.{key}")
        elif kind.attributes is not None and key not in kind.attributes:
            yield f"{place}.{key}: unknown"
        elif kind.attributes is not None and not kind.attributes[key](value):
            yield f"{place}.{key}: {value!r} is of another type"


def _judge_blocks(blocks: Any, kind: Kind, place: str) -> Iterator[str]:
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        yield f"{place}: not a block"
        return
    for block in blocks:
        if kind.label and (len(block) != 1 or not isinstance(next(iter(block.values())), dict)):
            yield f"{place}: needs a label"
        else:
            yield from _judge(next(iter(block.values())) if kind.label else block, kind, place)


def _plain(value: Any) -> Any:
    """The parser leaves quotes, heredocs and escapes as they are written."""
    if isinstance(value, dict):
        inner = {key: one for key, one in value.items() if not key.startswith("__")}
        return {_plain(key): _plain(one) for key, one in inner.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _text(value) if isinstance(value, str) else value


def _text(written: str) -> str:
    if heredoc := re.fullmatch(r'"?<<(\w+)\n(.*)\1"?', written, re.DOTALL):
        return _interpolated(heredoc[2])
    if len(written) > 1 and written[0] == written[-1] == '"':
        escapes = {"n": "\n", "r": "\r", "t": "\t"}
        plain = re.sub(
            r"\\(u[0-9a-f]{4}|U[0-9a-f]{8}|.)",
            lambda m: chr(int(m[1][1:], 16)) if m[1][0] in "uU" else escapes.get(m[1], m[1]),
            written[1:-1],
        )
        return _interpolated(plain)
    return written


def _interpolated(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{")
