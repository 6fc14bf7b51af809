"""HAProxy's configuration -> text.

In: where it listens and where its socket is. Out: a file that `haproxy -c` accepts, from 2.4 on. It is
written once and never again while HAProxy runs: addresses, weights and pins are all set through the socket,
so that no rollout restarts what users are connected to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from shipway.rollout.traffic.split import BODY_LIMIT, CHECK_S, SLOTS
from shipway_runtime import contract

PINS = 200_000
"""Conversations that are remembered: some 25 MB; the one that was idle longest is forgotten first."""

PIN_HOURS = 24
"""How long an idle conversation stays where it is."""

BUFFER = 65_536
"""Bytes that a request has to fit into for its body to be looked at; each request in flight has a buffer."""

CONVERSATION_OF = "regsub(^resp_,),regsub(_[0-9]+$,)"
"""What is left of a response's id, as `contract.response_id` makes it."""

STATE = "haproxy.state"
"""Beside the socket: what a HAProxy that starts knows of its servers before anybody has spoken to it."""

NOBODY = '{"error":{"code":"unavailable","message":"no revision of the agent is ready"}}'


@dataclass(frozen=True, slots=True)
class Place:
    """Where HAProxy listens for users, and where for the controller; the certificates that it shows."""

    host: str
    port: int
    socket: str
    certificates: str | None = None
    """A file or a directory of PEM files, each with its key; read again on `set ssl cert`, or on a reload."""
    health_port: int | None = None
    """Where revisions answer /readyz, if not where their API is: that may be an application of their own."""
    idle_s: int = 660
    """How long a turn may say nothing before its connection is given up: longer than any turn may take."""


def config(place: Place) -> str:
    """The configuration. Its two servers are nowhere until the controller says where they are."""
    state = PurePosixPath(place.socket).with_name(STATE)
    tls = f" ssl crt {place.certificates} alpn h2,http/1.1" if place.certificates else ""
    port = f" port {place.health_port}" if place.health_port else ""
    # By a name: HAProxy takes the address of what it knew before for nothing else.
    nowhere = f"localhost:1 init-addr last,127.0.0.1 weight 0 disabled check{port} inter 1s fall 3 rise 1"
    servers = "\n".join(f"    server {slot} {nowhere}" for slot in SLOTS)
    return f"""\
global
    stats socket {place.socket} mode 600 level admin
    stats timeout 30s
    server-state-file {state}
    tune.bufsize {BUFFER}
    log stdout format raw local0 notice

defaults
    mode http
    log global
    timeout connect 3s
    timeout check {CHECK_S}s
    timeout client {place.idle_s}s
    timeout server {place.idle_s}s
    timeout queue 5s
    timeout http-request 30s
    retries 2
    option redispatch
    option http-keep-alive
    http-error status 503 content-type application/json hdr retry-after 1 string '{NOBODY}'

frontend api
    bind {place.host}:{place.port}{tls}
    option http-buffer-request
    # Which conversation: the header, else the response that is gone on from, else the body's `conversation`.
    http-request set-var(txn.conversation) req.hdr({contract.CONVERSATION_HEADER})
    acl named var(txn.conversation) -m found
    acl whole req.body_size le {BODY_LIMIT}
    acl continues var(txn.previous) -m reg ^resp_[A-Za-z0-9_-]{{1,64}}_[0-9]{{1,9}}$
    http-request set-var(txn.previous) req.body,json_query('$.previous_response_id') if !named whole
    http-request set-var(txn.conversation) var(txn.previous),{CONVERSATION_OF} if !named continues
    http-request set-var(txn.conversation) req.body,json_query('$.conversation') if !named whole
    http-request set-var(txn.conversation) req.body,json_query('$.conversation.id') if !named whole
    default_backend agent

backend agent
    balance roundrobin
    load-server-state-from-file global
    option httpchk
    http-check send meth GET uri /readyz
    http-check expect status 200
    stick-table type string len 64 size {PINS} expire {PIN_HOURS}h
    stick match var(txn.conversation)
    stick store-request var(txn.conversation)
    stick store-response res.hdr({contract.CONVERSATION_HEADER})
{servers}
"""
