# Written by shipway from agent.toml: the stack reception in prod. It is written again.
# nomad var put nomad/jobs/reception OPENAI_API_KEY=… DATABASE_URL=… SHIPWAY_CONTROL_TOKEN=…
# (only where another stack's control is the fleet's: nomad var put nomad/jobs/reception/agent/agent url=…)
# (a host volume reception-data, of user and group 65532)
# nomad job run agent.nomad.hcl
job "reception" {
  type = "service"

  constraint {
    attribute = "${attr.cpu.arch}"
    operator  = "regexp"
    value     = "^(amd64)$"
  }

  group "agent" {
    count          = 3
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
      source = "reception-data"
    }

    spread {
      attribute = "${node.unique.id}"
    }

    update {
      max_parallel      = 1
      canary            = 1
      auto_promote      = false
      auto_revert       = true
      health_check      = "checks"
      min_healthy_time  = "10s"
      healthy_deadline  = "5m"
      progress_deadline = "10m"
    }

    task "agent" {
      driver       = "docker"
      user         = "65532:65532"
      kill_timeout = "75s"

      config {
        image           = "registry.example.com/reception@sha256:1bbed4086a26d8c82de8529aecb319d294accf11dbd91f994dcfd3c268946f46"
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
        SHIPWAY_REVISION = "0123456789ab-7e6c9f"
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
    "api.auth": "agent.toml:23",
    "api.body_limit": "default",
    "api.issuer": "default",
    "api.jwks": "default",
    "api.keys": "default",
    "api.tenant_claim": "default",
    "api.timeout": "default",
    "api.trusted_proxies": "default",
    "api.when_busy": "default",
    "config.double": "agent.toml:27",
    "config.single": "agent.toml:26",
    "health.grace": "default",
    "health.when_model_down": "default",
    "model.fallbacks": "default",
    "model.max_tokens": "agent.toml:12",
    "model.name": "agent.toml:11",
    "model.provider": "agent.toml:10",
    "model.timeout": "default",
    "policy.concurrency": "default",
    "policy.requests": "default",
    "policy.spend": "default",
    "policy.tokens": "agent.toml:30",
    "resources.cpu": "default",
    "resources.memory": "default",
    "resources.replicas": "env.prod, agent.toml:43",
    "secrets.DATABASE_URL": "env.prod, agent.toml:46",
    "secrets.OPENAI_API_KEY": "agent.toml:15",
    "storage.path": "default",
    "storage.size": "default",
    "storage.url.secret": "env.prod, agent.toml:49"
  },
  "settings": {
    "api": {
      "audience": null,
      "auth": "none",
      "body_limit": 4000000,
      "issuer": null,
      "jwks": null,
      "keys": null,
      "tenant_claim": null,
      "timeout_s": 600.0,
      "trusted_proxies": [],
      "when_busy": "wait"
    },
    "config": {
      "double": 129,
      "single": 89
    },
    "health": {
      "grace_s": 60.0,
      "when_model_down": "unready"
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
      "name": "gpt-5",
      "prices": {},
      "provider": "openai",
      "timeout_s": null
    },
    "secrets": {
      "DATABASE_URL": {
        "broker": null,
        "source": "env"
      },
      "OPENAI_API_KEY": {
        "broker": null,
        "source": "env"
      }
    },
    "storage": {
      "path": "/data",
      "url_secret": "DATABASE_URL"
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
{{ if nomadVarExists "nomad/jobs/reception/agent" }}{{ with nomadVar "nomad/jobs/reception/agent" }}{{ .policy }}{{ end }}{{ else }}{
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
{{ with nomadVar "nomad/jobs/reception" }}
OPENAI_API_KEY={{ .OPENAI_API_KEY.Value | toJSON }}
DATABASE_URL={{ .DATABASE_URL.Value | toJSON }}
{{ end }}
EOT
      }

      template {
        destination          = "secrets/files/SHIPWAY_CONTROL_TOKEN"
        change_mode          = "noop"
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = "{{ with nomadVar \"nomad/jobs/reception\" }}{{ .SHIPWAY_CONTROL_TOKEN }}{{ end }}"
      }

      template {
        destination = "local/control.env"
        env         = true
        splay       = "30s"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/reception/agent/agent" }}{{ with nomadVar "nomad/jobs/reception/agent/agent" }}
SHIPWAY_CONTROL_URL={{ .url }}
{{ end }}{{ else }}{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "reception-control" }}
SHIPWAY_CONTROL_URL=http://{{ .Address }}:{{ .Port }}
{{ else }}
SHIPWAY_CONTROL_URL=http://reception-control.invalid
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
        name     = "reception"
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
