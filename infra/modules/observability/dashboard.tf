locals {
  # Read from the top: do customers notice, do servers stand, is the money right, what does the database do.
  sections = [
    {
      title = "Customers"
      graphs = [
        { title = "Requests", metrics = ["requests", "blocked"] },
        { title = "Errors", metrics = ["load_balancer_errors", "server_errors"] },
        { title = "How long answers take", metrics = ["latency", "latency_median"] },
      ]
    },
    {
      title = "Servers"
      graphs = [
        { title = "Healthy servers by zone", metrics = concat(sort(keys(local.zones)), ["unhealthy"]) },
        { title = "Servers in the group", metrics = ["in_service", "wanted"] },
        { title = "Servers' CPU, memory and disk", metrics = ["server_cpu", "server_memory", "server_disk"] },
      ]
    },
    {
      title = "Ledger"
      graphs = [
        { title = "Findings: anything but 0 is an alarm", metrics = ["findings"] },
        { title = "Last verified", metrics = ["verified_ago"] },
        { title = "Entries verified", metrics = ["entries"] },
      ]
    },
    {
      title = "Database (${var.role}, ${var.database.engine})"
      graphs = concat(
        [
          { title = "Do servers see the primary", metrics = ["database_up"] },
          { title = "CPU", metrics = ["database_cpu"] },
          { title = "Connections, of ${var.database.max_connections}", metrics = ["connections"] },
        ],
        var.role == "replica" ? [{ title = "Behind the primary", metrics = ["replica_lag"] }] : [],
      )
    },
    {
      title = "Database's disk and memory"
      graphs = concat(
        [
          { title = "Free storage", metrics = ["free_storage"] },
          { title = "Free memory", metrics = ["free_memory"] },
          { title = "Disk", metrics = ["read_latency", "write_latency"] },
        ],
        var.database.engine == "postgres" ? [{ title = "Transaction ids", metrics = ["transaction_ids"] }] : [],
      )
    },
  ]

  # From 4 down: above stand what this is and the alarms. A section is a line of text and a row of graphs.
  section_widgets = flatten([
    for row, section in local.sections : concat(
      [{ type = "text", x = 0, y = 4 + row * 7, width = 24, height = 1, properties = { markdown = "## ${section.title}" } }],
      [
        for column, graph in section.graphs : {
          type   = "metric"
          x      = column * floor(24 / length(section.graphs))
          y      = 4 + row * 7 + 1
          width  = floor(24 / length(section.graphs))
          height = 6
          properties = {
            title  = graph.title
            region = local.region
            view   = "timeSeries"
            period = 60
            yAxis  = { left = { min = 0 } }
            metrics = [
              for id in graph.metrics : concat(
                [local.metrics[id].namespace, local.metrics[id].name],
                flatten([for name, value in local.metrics[id].dimensions : [name, value]]),
                [{ stat = local.metrics[id].stat, label = local.metrics[id].label }],
              )
            ]
          }
        }
      ],
    )
  ])

  runbook = startswith(var.runbook, "https://") ? "[what to do](${var.runbook})" : "what to do: `${var.runbook}`"
}

resource "aws_cloudwatch_dashboard" "bank" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [
        {
          type = "text", x = 0, y = 0, width = 8, height = 4
          properties = {
            markdown = "# ${var.name}\nRead from the top. An alarm is red: ${local.runbook}"
          }
        },
        {
          type = "alarm", x = 8, y = 0, width = 16, height = 4
          properties = {
            title  = "Alarms"
            alarms = [for key in concat(["customers-cannot-bank"], keys(local.alarms)) : "${local.alarm_arns}:${var.name}-${key}"]
          }
        },
      ],
      local.section_widgets,
      [
        {
          type = "log", x = 0, y = 4 + length(local.sections) * 7, width = 24, height = 6
          properties = {
            title  = "The latest requests that failed"
            region = local.region
            view   = "table"
            query  = "SOURCE '${aws_cloudwatch_log_group.app.name}' | fields @timestamp, method, route, status, milliseconds, request_id | filter event = 'request' and status >= 500 | sort @timestamp desc | limit 20"
          }
        },
      ],
    )
  })
}
