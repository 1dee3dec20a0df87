"""The command line: a file per verb, its help, completion and the diagnosis of a machine."""
