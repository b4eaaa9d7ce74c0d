"""The `lopt` command, one small module per command or group of commands."""
