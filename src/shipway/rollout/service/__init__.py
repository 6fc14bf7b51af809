"""The controller as a program on a machine: what it is asked, what it answers, and its rounds."""
