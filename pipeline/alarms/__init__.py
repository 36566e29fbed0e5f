"""Alarms: what is wrong now, kept in the history, told by webhook and e-mail, acknowledged by people."""
