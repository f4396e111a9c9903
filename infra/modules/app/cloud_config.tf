# What a server is told at its start. It is made from variables alone, so that tests render exactly what servers get;
# it holds no secret: whoever may describe instances can read it.
locals {
  partition   = split(":", var.secrets.login)[1]
  region      = split(":", var.secrets.login)[3]
  home_region = coalesce(var.secrets.home_region, local.region)

  database_urls = { for name, address in { DATABASE_URL = var.database.address, DATABASE_REPLICA_URL = var.database.replica_address } :
    name => {
      postgres = "postgresql://${address}:${var.database.port}/bank?sslmode=verify-full&sslrootcert=/etc/bank/rds.pem"
      mysql    = "mysql://${address}:${var.database.port}/bank?ssl_ca=/etc/bank/rds.pem&ssl_check_hostname=true"
    }[var.database.engine] if address != null
  }
  settings = merge(var.settings, local.database_urls, {
    BANK_ENV            = "production"
    DATABASE_LOGIN_FILE = "/run/bank/login.json"
    PROXY_HOPS          = "1"
    # Longer than the load balancer takes to notice (modules/alb): two checks, 5 seconds apart, of up to 3 seconds.
    DRAIN_SECONDS = "15"
  })

  # What the scripts in server/ need to know.
  server = {
    AWS_DEFAULT_REGION = local.region
    AWS_RETRY_MODE     = "standard"
    RELEASE_COMMIT     = var.release.commit
    RELEASE_SHA256     = var.release.sha256
    ARTIFACTS          = var.artifacts.bucket
    AUTHORITIES_URL    = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
    LOGIN_SECRET       = var.secrets.login
    KEYS_SECRET        = var.secrets.keys
    GROUP              = var.name
  }
  job = {
    OWNER_SECRET        = var.secrets.owner
    SECRETS_HOME_REGION = local.home_region
    JOB_RESULTS         = "/${var.name}/jobs"
  }

  # systemd and the shell both read these, so what means something to either is escaped.
  env_files = { for file, variables in {
    "/etc/bank/bank.env"   = local.settings
    "/etc/bank/server.env" = local.server
    "/etc/bank/job.env"    = local.job
    } : file => join("", [for name, value in variables : "${name}=\"${replace(value, "/([\\\\\"$`])/", "\\$1")}\"\n"])
  }

  agent = {
    agent = { run_as_user = "cwagent", omit_hostname = true }
    logs = {
      logs_collected = { files = { collect_list = [{
        file_path       = "/var/log/bank/bank.jsonl"
        log_group_name  = var.log_group.name
        log_stream_name = "{instance_id}"
      }] } }
      metrics_collected = { prometheus = {
        prometheus_config_path = "/etc/bank/prometheus.yaml"
        log_group_name         = var.log_group.name
        emf_processor = {
          metric_namespace = "Bank"
          metric_declaration = [
            { source_labels = ["job"], label_matcher = "^bank$", dimensions = [["bank"]], metric_selectors = ["^bank_ledger_", "^bank_database_"] },
            { source_labels = ["job"], label_matcher = "^bank$", dimensions = [["bank", "status"]], metric_selectors = ["^bank_requests_total$"] },
          ]
        }
      } }
    }
    metrics = {
      namespace              = "Bank"
      aggregation_dimensions = [["bank"]]
      metrics_collected = {
        mem  = { measurement = ["mem_used_percent"], append_dimensions = { bank = var.name } }
        disk = { measurement = ["used_percent"], resources = ["/"], drop_device = true, append_dimensions = { bank = var.name } }
      }
    }
  }
  agent_files = {
    "/etc/bank/agent.json" = jsonencode(local.agent)
    "/etc/bank/prometheus.yaml" = yamlencode({
      global         = { scrape_interval = "1m", scrape_timeout = "10s" }
      scrape_configs = [{ job_name = "bank", static_configs = [{ targets = ["127.0.0.1:9100"], labels = { bank = var.name } }] }]
    })
  }

  # server/ is laid out as on a server.
  tree      = { for file in fileset("${path.module}/server", "{etc,usr}/**") : "/${file}" => file("${path.module}/server/${file}") }
  sandboxed = ["bank", "bank-metrics", "bank-payments-due", "bank-expire-holds", "bank-verify"]
  sandboxes = { for unit in local.sandboxed : "/etc/systemd/system/${unit}.service.d/sandbox.conf" => file("${path.module}/server/sandbox.conf") }

  roles = {
    app = {
      packages = ["python3.11", "jq", "logrotate", "amazon-cloudwatch-agent"]
      files    = merge({ for file, text in merge(local.tree, local.env_files) : file => text if !strcontains(file, "job") }, local.sandboxes, local.agent_files)
      early    = {}
      commands = [
        ["install", "-d", "-m", "0750", "-g", "cwagent", "/var/log/bank"],
        # Before systemd does, whose file the agent could not read: it would be root's alone under the bank's UMask.
        ["install", "-m", "0640", "-g", "cwagent", "/dev/null", "/var/log/bank/bank.jsonl"],
        ["/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl", "-a", "fetch-config", "-m", "ec2", "-s", "-c", "file:/etc/bank/agent.json"],
        ["systemctl", "enable", "--now", "--no-block",
          "bank-release.service", "bank-secrets.timer", "bank.service", "bank-metrics.service", "bank-ready.service", "bank-drain.service",
          "bank-payments-due.timer", "bank-expire-holds.timer", "bank-verify.timer",
        ],
        # Installed on a system that runs, it would begin at the next start, and the bank's log fill the disk.
        ["systemctl", "enable", "--now", "--no-block", "logrotate.timer"],
      ]
    }
    job = {
      packages = ["python3.11", "jq"]
      files    = merge({ for file, text in local.tree : file => text if !startswith(file, "/etc/systemd/") || strcontains(file, "job") }, local.env_files)
      # Whatever goes wrong before the job begins: no server with the owner's rights stays. `shutdown` would ask logind, which
      # may not run so early, and then end the server at once.
      early    = { bootcmd = [["systemd-run", "--no-block", "--on-active=2h", "systemctl", "poweroff"]] }
      commands = [["systemctl", "start", "--no-block", "bank-job.service"]]
    }
  }
  cloud_config = { for role, of in local.roles : role => "#cloud-config\n${yamlencode(merge(of.early, {
    # No `default` among the users: nobody logs in, and Session Manager brings a user of its own.
    users       = [{ name = "bank", system = true, no_create_home = true, shell = "/sbin/nologin" }]
    packages    = of.packages
    write_files = [for file, text in of.files : { path = file, content = text, permissions = startswith(file, "/usr/local/lib/") ? "0755" : "0644" }]
    runcmd = concat([
      ["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/bank.conf"],
      ["systemctl", "daemon-reload"],
    ], of.commands)
  }))}" }
  user_data = { for role, text in local.cloud_config : role => base64gzip(text) }
}
