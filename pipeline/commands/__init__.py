"""The commands of `rayline`, one file each; heavy imports wait until a command runs."""
