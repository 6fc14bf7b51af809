# Written by shipway from agent.toml: control of orders in prod. It is written again.
# nomad var put nomad/jobs/orders-control SHIPWAY_CONTROL_TOKENS=…
# (a host volume orders-control, of user and group 65532)
# nomad job run control.nomad.hcl
job "orders-control" {
  type = "service"

  constraint {
    attribute = "${attr.cpu.arch}"
    operator  = "regexp"
    value     = "^(amd64)$"
  }

  group "control" {
    count = 1

    network {
      mode = "bridge"

      port "control" {
        to = 8083
      }
    }

    volume "data" {
      type   = "host"
      source = "orders-control"
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

    task "control" {
      driver       = "docker"
      user         = "65532:65532"
      kill_timeout = "30s"

      config {
        image           = "registry.example.com/shipway-control@sha256:f22c18a249b851a688b53d165fe872de75eb992141542e487b0c30187bab4674"
        volumes         = ["secrets/files:/run/secrets:ro"]
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

      template {
        destination          = "secrets/files/SHIPWAY_CONTROL_TOKENS"
        change_mode          = "noop"
        perms                = "0400"
        uid                  = 65532
        gid                  = 65532
        error_on_missing_key = true
        data                 = "{{ with nomadVar \"nomad/jobs/orders-control\" }}{{ .SHIPWAY_CONTROL_TOKENS }}{{ end }}"
      }

      volume_mount {
        volume      = "data"
        destination = "/data"
      }

      resources {
        cpu    = 200
        memory = 256
      }

      service {
        name     = "orders-control"
        provider = "nomad"
        port     = "control"

        check {
          name     = "ready"
          type     = "http"
          port     = "control"
          path     = "/readyz"
          interval = "10s"
          timeout  = "5s"
        }

        check {
          name     = "alive"
          type     = "http"
          port     = "control"
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
