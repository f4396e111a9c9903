"""Cases: what somebody reported and the branch answers."""
