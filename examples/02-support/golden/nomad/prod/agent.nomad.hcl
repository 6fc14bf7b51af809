# Written by shipway from agent.toml: the stack support in prod. It is written again.
# nomad var put nomad/jobs/support ANTHROPIC_API_KEY=… API_KEYS=… SHIPWAY_CONTROL_TOKEN=…
# (only where another stack's control is the fleet's: nomad var put nomad/jobs/support/agent/agent url=…)
# (a host volume support-data, of user and group 65532)
# nomad job run agent.nomad.hcl
job "support" {
  type = "service"

  constraint {
    attribute = "${attr.cpu.arch}"
    operator  = "regexp"
    value     = "^(amd64)$"
  }

  group "agent" {
    count          = 1
    shutdown_delay = "5s"

    network {
      mode = "bridge"

      port "api" {
        to = 8080
      }

      port "admin" {
        to = 8081
      }
    }

    volume "data" {
      type   = "host"
      source = "support-data"
    }

    update {
      max_parallel      = 1
      canary            = 0
      auto_promote      = false
      auto_revert       = true
      health_check      = "checks"
      min_healthy_time  = "10s"
      healthy_deadline  = "5m"
      progress_deadline = "10m"
    }

    task "mcp-git" {
      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      restart {
        attempts = 5
        interval = "1m"
        delay    = "2s"
        mode     = "delay"
      }

      driver       = "docker"
      user         = "65532:65532"
      kill_timeout = "15s"

      config {
        image           = "registry.example.com/support-mcp-git@sha256:07a6eadf409bd294bd99543a68ac0b853182f91d27d166126cb3f3a680e1477f"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]

        mount {
          type   = "tmpfs"
          target = "/tmp"

          tmpfs_options {
            size = 67108864
            mode = 1023
          }
        }
      }

      env {
        SHIPWAY_REVISION = "0123456789ab-875245"
      }

      resources {
        cpu    = 100
        memory = 256
      }

      volume_mount {
        volume      = "data"
        destination = "/data"
      }
    }

    task "agent" {
      driver       = "docker"
      user         = "65532:65532"
      kill_timeout = "75s"

      config {
        image           = "registry.example.com/support@sha256:502229da2214d546600ae7f450ea569ca9b1fbe825f8c27faa4c8aa95ef7baa6"
        volumes         = ["local/etc:/etc/shipway:ro", "secrets/files:/run/secrets:ro"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]

        mount {
          type   = "tmpfs"
          target = "/tmp"

          tmpfs_options {
            size = 67108864
            mode = 1023
          }
        }
      }

      env {
        SHIPWAY_ENV      = "prod"
        SHIPWAY_REVISION = "0123456789ab-875245"
      }

      template {
        destination = "local/etc/config.json"
        change_mode = "restart"
        data        = <<EOT
{
  "environment": "prod",
  "format": 1,
  "provenance": {
    "api.audience": "default",
    "api.auth": "env.prod, agent.toml:50",
    "api.body_limit": "default",
    "api.issuer": "default",
    "api.jwks": "default",
    "api.keys": "env.prod, agent.toml:51",
    "api.tenant_claim": "default",
    "api.timeout": "default",
    "api.trusted_proxies": "default",
    "api.when_busy": "default",
    "config.greeting": "agent.toml:45",
    "config.repository": "agent.toml:46",
    "config.tool_rounds": "agent.toml:47",
    "health.grace": "agent.toml:42",
    "health.when_model_down": "agent.toml:41",
    "model.fallbacks": "default",
    "model.max_tokens": "agent.toml:12",
    "model.name": "agent.toml:11",
    "model.provider": "agent.toml:10",
    "model.timeout": "agent.toml:13",
    "policy.concurrency": "default",
    "policy.requests": "default",
    "policy.spend": "default",
    "policy.tokens": "env.prod, agent.toml:61",
    "resources.cpu": "default",
    "resources.memory": "default",
    "resources.replicas": "default",
    "secrets.ANTHROPIC_API_KEY": "env.prod, agent.toml:54",
    "secrets.API_KEYS": "env.prod, agent.toml:55",
    "storage.path": "agent.toml:37",
    "storage.size": "agent.toml:38",
    "storage.url": "default"
  },
  "settings": {
    "api": {
      "audience": null,
      "auth": "keys",
      "body_limit": 4000000,
      "issuer": null,
      "jwks": null,
      "keys": "API_KEYS",
      "tenant_claim": null,
      "timeout_s": 600.0,
      "trusted_proxies": [],
      "when_busy": "wait"
    },
    "config": {
      "greeting": "short",
      "repository": "repo",
      "tool_rounds": 5
    },
    "health": {
      "grace_s": 60.0,
      "when_model_down": "degraded"
    },
    "limits": {
      "concurrency": null,
      "requests": null,
      "spend_usd": null,
      "tokens": [
        2000000,
        86400
      ]
    },
    "model": {
      "fallbacks": [],
      "max_tokens": 1024,
      "name": "claude-sonnet-5",
      "prices": {},
      "provider": "anthropic",
      "timeout_s": 60.0
    },
    "secrets": {
      "ANTHROPIC_API_KEY": {
        "broker": null,
        "source": "env"
      },
      "API_KEYS": {
        "broker": null,
        "source": "file"
      }
    },
    "storage": {
      "path": "/data",
      "url_secret": null
    }
  },
  "tenants": {}
}
EOT
      }

      template {
        destination = "local/etc/policy.json"
        change_mode = "noop"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/support/agent" }}{{ with nomadVar "nomad/jobs/support/agent" }}{{ .policy }}{{ end }}{{ else }}{
  "format": 1,
  "kill": {
    "all": false,
    "models": [],
    "servers": [],
    "tenants": [],
    "tools": []
  },
  "limits": {
    "concurrency": null,
    "requests": null,
    "spend_usd": null,
    "tokens": [
      2000000,
      86400
    ]
  },
  "model": null,
  "tenants": {}
}
{{ end }}
EOT
      }

      template {
        destination          = "secrets/0.env"
        env                  = true
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = <<EOT
{{ with nomadVar "nomad/jobs/support" }}
ANTHROPIC_API_KEY={{ .ANTHROPIC_API_KEY.Value | toJSON }}
{{ end }}
EOT
      }

      template {
        destination          = "secrets/files/API_KEYS"
        change_mode          = "noop"
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = "{{ with nomadVar \"nomad/jobs/support\" }}{{ .API_KEYS }}{{ end }}"
      }

      template {
        destination          = "secrets/files/SHIPWAY_CONTROL_TOKEN"
        change_mode          = "noop"
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = "{{ with nomadVar \"nomad/jobs/support\" }}{{ .SHIPWAY_CONTROL_TOKEN }}{{ end }}"
      }

      template {
        destination = "local/control.env"
        env         = true
        splay       = "30s"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/support/agent/agent" }}{{ with nomadVar "nomad/jobs/support/agent/agent" }}
SHIPWAY_CONTROL_URL={{ .url }}
{{ end }}{{ else }}{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "support-control" }}
SHIPWAY_CONTROL_URL=http://{{ .Address }}:{{ .Port }}
{{ else }}
SHIPWAY_CONTROL_URL=http://support-control.invalid
{{ end }}{{ end }}
EOT
      }

      volume_mount {
        volume      = "data"
        destination = "/data"
      }

      resources {
        cpu    = 200
        memory = 512
      }

      service {
        name     = "support"
        provider = "nomad"
        port     = "api"

        check {
          name     = "ready"
          type     = "http"
          port     = "admin"
          path     = "/readyz"
          interval = "10s"
          timeout  = "5s"
        }

        check {
          name     = "alive"
          type     = "http"
          port     = "admin"
          path     = "/healthz"
          interval = "10s"
          timeout  = "5s"

          check_restart {
            limit = 3
            grace = "90s"
          }
        }
      }
    }
  }
}
