"""Every rule, family by family, in the order in which they are run.

Out: the tables. A rule is a generator that looks at one thing; a new rule is one line here, a new family a
file and a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipway.check.dockerfiles import bases, code, health, layers, secrets, servers, signals, users
from shipway.check.images import contents, process
from shipway.check.images import secrets as image_secrets
from shipway.check.manifests import (
    confinement,
    probes,
    prompts,
    reach,
    replicas,
    resources,
    rollouts,
    stopping,
)
from shipway.check.manifests import images as manifest_images
from shipway.check.manifests import secrets as manifest_secrets
from shipway.check.manifests import servers as manifest_servers
from shipway.check.projects import production
from shipway.check.rule import Rule

if TYPE_CHECKING:
    from shipway.check.dockerfiles.subject import Dockerfile
    from shipway.check.images.subject import Image
    from shipway.check.manifests.subject import Manifests
    from shipway.check.projects.production import Production

DOCKERFILE: tuple[Rule[Dockerfile], ...] = (
    Rule("root-user", "error", users.user_is_not_root),
    Rule("user-from-base", "warning", users.user_is_known),
    Rule("user-name", "note", users.user_is_a_number),
    Rule("secret-in-dockerfile", "error", secrets.text_holds_no_secret),
    Rule("secret-in-source", "error", code.source_holds_no_secret),
    Rule("secret-argument", "error", secrets.secrets_are_no_arguments),
    Rule("secret-copied", "error", secrets.secret_files_are_not_copied),
    Rule("signals", "error", signals.signals_arrive),
    Rule("literal-variable", "error", signals.variables_are_filled_in),
    Rule("install-at-start", "error", signals.nothing_is_installed_at_start),
    Rule("server-at-start", "error", code.servers_are_in_the_image),
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
IMAGE: tuple[Rule[Image], ...] = (
    Rule("image-root", "error", process.user_is_not_root),
    Rule("image-user-name", "note", process.user_is_a_number),
    Rule("image-signals", "error", process.signals_arrive),
    Rule("image-loopback", "error", process.port_is_reachable),
    Rule("image-install-at-start", "error", process.nothing_is_installed_at_start),
    Rule("image-server-at-start", "error", process.servers_are_in_it),
    Rule("image-secret", "error", image_secrets.files_hold_no_secret),
    Rule("image-secret-file", "error", image_secrets.secret_files_are_absent),
    Rule("image-secret-config", "error", image_secrets.config_holds_no_secret),
    Rule("image-large", "warning", contents.image_is_small),
    Rule("image-waste", "note", contents.layers_are_not_wasted),
    Rule("image-cache", "warning", contents.caches_are_absent),
    Rule("image-build-tools", "warning", contents.build_tools_are_absent),
    Rule("image-developer-files", "warning", contents.files_are_for_running),
)
MANIFEST: tuple[Rule[Manifests], ...] = (
    Rule("probes-missing", "warning", probes.probes_are_there),
    Rule("probes-same", "error", probes.probes_differ),
    Rule("liveness-downstream", "warning", probes.liveness_looks_at_itself),
    Rule("readiness-shallow", "note", probes.readiness_looks_around),
    Rule("liveness-tight", "warning", probes.liveness_is_patient),
    Rule("startup-missing", "warning", probes.start_has_time),
    Rule("manifest-loopback", "error", reach.port_is_reachable),
    Rule("allowed-hosts", "warning", reach.hosts_are_allowed),
    Rule("exposed", "note", reach.callers_are_known),
    Rule("stdio-server", "error", manifest_servers.servers_have_an_address),
    Rule("exec-server", "error", manifest_servers.servers_are_not_entered),
    Rule("shared-sidecar", "warning", manifest_servers.servers_are_shared),
    Rule("sidecar-limit", "warning", manifest_servers.sidecars_have_limits),
    Rule("sidecar-sibling", "warning", manifest_servers.sidecars_are_native),
    Rule("manifest-install-at-start", "error", manifest_servers.nothing_is_installed_at_start),
    Rule("manifest-root", "error", confinement.user_is_not_root),
    Rule("privileged", "error", confinement.nothing_is_privileged),
    Rule("pod-security", "warning", confinement.pod_is_restricted),
    Rule("writable-root", "note", confinement.root_is_read_only),
    Rule("service-token", "warning", confinement.no_token_is_mounted),
    Rule("manifest-secret", "error", manifest_secrets.texts_hold_no_secret),
    Rule("secret-subpath", "warning", manifest_secrets.secrets_can_rotate),
    Rule("manifest-latest", "warning", manifest_images.tag_is_given),
    Rule("manifest-digest", "note", manifest_images.digest_is_given),
    Rule("cpu-limit", "warning", resources.cpu_is_not_capped),
    Rule("cpu-request", "note", resources.cpu_is_not_hoarded),
    Rule("memory-limit", "warning", resources.memory_is_limited),
    Rule("memory-small", "warning", resources.memory_is_enough),
    Rule("grace-short", "error", stopping.drain_fits),
    Rule("grace-default", "warning", stopping.answers_may_finish),
    Rule("pre-stop", "warning", stopping.requests_stop_first),
    Rule("replica-state", "error", replicas.state_is_shared),
    Rule("volume-rollout", "warning", replicas.volume_can_move),
    Rule("disruption-budget", "note", replicas.nodes_can_be_drained),
    Rule("rollout-single-step", "warning", rollouts.rollout_has_steps),
    Rule("rollout-unjudged", "warning", rollouts.rollout_goes_back),
    Rule("prompt-in-manifest", "warning", prompts.prompts_are_in_the_image),
)
PRODUCTION: tuple[Rule[Production], ...] = (
    Rule("api-callers", "error", production.callers_are_known),
    Rule("spend-limit", "warning", production.spend_is_limited),
    Rule("evals-missing", "note", production.evals_are_there),
    Rule("mcp-sidecar-limit", "warning", production.sidecars_have_limits),
    Rule("mcp-heavy", "warning", production.heavy_servers_are_shared),
)

RULES: tuple[Rule[Any], ...] = (*DOCKERFILE, *IMAGE, *MANIFEST, *PRODUCTION)
"""All that can be suppressed. What the builder would refuse cannot: a comment would not make it build."""
