variable "domain" {
  description = "Where customers find the bank, and the Route 53 zone it belongs to."
  type        = object({ name = string, zone_id = string })
}

variable "bank" {
  description = "What the pages call the bank, where its day begins (IANA name), and further settings without secrets (docs/reference/settings.md)."
  type = object({
    name     = string
    timezone = string
    settings = optional(map(string), {})
  })
}

variable "release" {
  description = "What the servers run: build/package/release.json, as `make package` wrote it."
  type        = object({ commit = string, sha256 = string })
}

variable "engine" {
  description = "postgres or mysql. Another one is another, empty database: docs/operating/day-two.md says how a bank moves."
  type        = string
  default     = "postgres"
}

variable "primary" {
  description = "The region whose database takes writes: docs/operating/day-two.md says how to change it."
  type        = string
  default     = "us-east-1"
}

variable "owner_password_version" {
  description = "Raise it by one to give the schema's owner a new password."
  type        = number
  default     = 1
}

variable "images" {
  description = "Machine images to stay with, by region; without one, Amazon's newest at each apply."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "emails" {
  description = "Who is told of alarms."
  type        = set(string)
}
