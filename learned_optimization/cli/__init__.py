"""The `lopt` command, one small module a command group."""
