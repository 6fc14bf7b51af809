"""Every rule, family by family, in the order in which they are run.

Out: the tables. A rule is a generator that looks at one thing; a new rule is one line here, a new family a
file and a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.check.dockerfiles import bases, health, layers, secrets, servers, signals, users
from shipway.check.rule import Rule

if TYPE_CHECKING:
    from shipway.check.dockerfiles.subject import Dockerfile

DOCKERFILE: tuple[Rule[Dockerfile], ...] = (
    Rule("root-user", "error", users.user_is_not_root),
    Rule("user-from-base", "warning", users.user_is_known),
    Rule("user-name", "note", users.user_is_a_number),
    Rule("secret-in-dockerfile", "error", secrets.text_holds_no_secret),
    Rule("secret-argument", "error", secrets.secrets_are_no_arguments),
    Rule("secret-copied", "error", secrets.secret_files_are_not_copied),
    Rule("signals", "error", signals.signals_arrive),
    Rule("install-at-start", "error", signals.nothing_is_installed_at_start),
    Rule("loopback", "error", servers.port_is_reachable),
    Rule("dev-server", "error", servers.server_is_for_production),
    Rule("workers", "note", servers.workers_are_replicas),
    Rule("health-check", "warning", health.health_check_can_run),
    Rule("source-first", "warning", layers.dependencies_come_first),
    Rule("whole-context", "warning", layers.context_is_narrow),
    Rule("build-tools", "warning", layers.build_tools_are_left_behind),
    Rule("single-stage", "note", layers.build_is_apart),
    Rule("cache-in-layer", "warning", layers.caches_are_left_behind),
    Rule("no-bytecode", "note", layers.bytecode_is_made),
    Rule("base-latest", "warning", bases.tag_is_given),
    Rule("base-digest", "note", bases.digest_is_given),
    Rule("base-fat", "warning", bases.base_is_small),
)
IMAGE: tuple[Rule[Any], ...] = ()

RULES: tuple[Rule[Any], ...] = (*DOCKERFILE, *IMAGE)
"""All that can be suppressed. What the builder would refuse cannot: a comment would not make it build."""
