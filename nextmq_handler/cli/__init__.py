"""The `nextmq` command. `commands` is the table of all of them; a module loads only when its command is called."""
