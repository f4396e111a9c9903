"""Who may come in: staff, customers' log-ins, sessions, passwords, throttles."""
