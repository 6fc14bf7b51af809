# Written by shipway from agent.toml: the stack hello in prod. It is written again.
# nomad var put nomad/jobs/hello SHIPWAY_CONTROL_TOKEN=…
# (only where another stack's control is the fleet's: nomad var put nomad/jobs/hello/agent/agent url=…)
# nomad job run agent.nomad.hcl
job "hello" {
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

    update {
      max_parallel      = 1
      canary            = 1
      auto_promote      = true
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
        image           = "hello@sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
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
        SHIPWAY_REVISION = "0123456789ab-03f286"
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
    "api.auth": "default",
    "api.body_limit": "default",
    "api.issuer": "default",
    "api.jwks": "default",
    "api.keys": "default",
    "api.tenant_claim": "default",
    "api.timeout": "default",
    "api.trusted_proxies": "default",
    "api.when_busy": "default",
    "health.grace": "default",
    "health.when_model_down": "default",
    "policy.concurrency": "default",
    "policy.requests": "default",
    "policy.spend": "default",
    "policy.tokens": "default",
    "resources.cpu": "default",
    "resources.memory": "default",
    "resources.replicas": "default"
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
    "config": {},
    "health": {
      "grace_s": 60.0,
      "when_model_down": "unready"
    },
    "limits": {
      "concurrency": null,
      "requests": null,
      "spend_usd": null,
      "tokens": null
    },
    "model": null,
    "secrets": {},
    "storage": null
  },
  "tenants": {}
}
EOT
      }

      template {
        destination = "local/etc/policy.json"
        change_mode = "noop"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/hello/agent" }}{{ with nomadVar "nomad/jobs/hello/agent" }}{{ .policy }}{{ end }}{{ else }}{
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
    "tokens": null
  },
  "model": null,
  "tenants": {}
}
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
        data                 = "{{ with nomadVar \"nomad/jobs/hello\" }}{{ .SHIPWAY_CONTROL_TOKEN }}{{ end }}"
      }

      template {
        destination = "local/control.env"
        env         = true
        splay       = "30s"
        data        = <<EOT
{{ if nomadVarExists "nomad/jobs/hello/agent/agent" }}{{ with nomadVar "nomad/jobs/hello/agent/agent" }}
SHIPWAY_CONTROL_URL={{ .url }}
{{ end }}{{ else }}{{ range nomadService 1 (env "NOMAD_ALLOC_ID") "hello-control" }}
SHIPWAY_CONTROL_URL=http://{{ .Address }}:{{ .Port }}
{{ else }}
SHIPWAY_CONTROL_URL=http://hello-control.invalid
{{ end }}{{ end }}
EOT
      }

      resources {
        cpu    = 200
        memory = 512
      }

      service {
        name     = "hello"
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
